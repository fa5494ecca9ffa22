#!/usr/bin/env python3
"""What other wire forms, signatures, tokens and TLS cost: the same batch through `spillway run` at
latency 0 as plain OpenAI form, as Converse with SigV4, as generateContent with OAuth, and as OpenAI
form over TLS, in turns against stubs on this machine. Prints the ratio to the plain form."""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

from bench import CONNECTIONS, ROOT, Simulator, fail, timed_run, write, write_prompts

TARGET = 0.6

SIM = """listen: 127.0.0.1:0
threads: 1
{tls}identity:
  google: {{ key_file: {account} }}
  aws: {{ access_key_id: AKIDEXAMPLE, secret_access_key: secret }}
pools:
  - {{ name: plain, provider: openai, latency: 0ms, output_tokens: 8, api_key: k }}
  - name: aws
    provider: bedrock
    latency: 0ms
    output_tokens: 8
    region: us-east-1
    identity: true
  - name: google
    provider: vertex
    latency: 0ms
    output_tokens: 8
    identity: true
"""
LANE = "lanes: [{ model: bench, as: %s, quota: { concurrency: %d } }]"
POOLS = {
    "openai": """pools:
  - { name: p, provider: openai, endpoint: %s, auth: { api_key: env:BENCH_KEY }, """,
    "converse": """pools:
  - { name: p, provider: bedrock, region: us-east-1, endpoint: %s, auth: { aws: {
      access_key_id: env:BENCH_ID, secret_access_key: env:BENCH_SECRET } }, """,
    "generate-content": """pools:
  - { name: p, provider: vertex, project: bench, location: global, endpoint: %s,
      auth: { google: { service_account: file:%s, token_url: %s } }, """,
}
MODELS = {"openai": "bench", "converse": "amazon.nova-lite-v1:0", "generate-content": "gemini-bench",
          "tls": "bench"}
ENVIRONMENT = {"BENCH_KEY": "k", "BENCH_ID": "AKIDEXAMPLE", "BENCH_SECRET": "secret"}


def start(args, folder, name, tls=""):
    """A simulator in a folder of its own, and the service-account key that it writes."""
    folder = os.path.join(folder, name)
    os.makedirs(folder)
    account = os.path.join(folder, "account.json")
    return Simulator(args.spillway, folder, SIM.format(tls=tls, account=account)), account


def measure_run(args, folder, form, config):
    path = os.path.join(folder, form + ".yaml")
    write(path, config)
    took, usage = timed_run(args.spillway, folder, form, path, args.prompts, ENVIRONMENT)
    return {"prompts_per_s": args.prompts / took,
            "cpu_us_per_prompt": (usage.ru_utime + usage.ru_stime) * 1e6 / args.prompts}


def make_certificate(folder):
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return key, cert


def measure(args, folder):
    write_prompts(os.path.join(folder, "prompts.jsonl"), args.prompts)
    key, cert = make_certificate(folder)
    tls = f"tls: {{ cert_file: {cert}, key_file: {key} }}\n"
    rounds = []
    http, account = start(args, folder, "http")
    https, _ = start(args, folder, "https", tls)
    with http as plain, https as secure:
        lane = {form: LANE % (model, CONNECTIONS) + " }\n" for form, model in MODELS.items()}
        configs = {
            "openai": POOLS["openai"] % plain.pools["plain"] + lane["openai"],
            "converse": POOLS["converse"] % plain.pools["aws"] + lane["converse"],
            "generate-content": POOLS["generate-content"] % (
                plain.pools["google"], account, plain.url + "/_sim/token")
            + lane["generate-content"],
            "tls": POOLS["openai"] % secure.pools["plain"] + f"tls: {{ ca_file: {cert} }}, "
            + lane["tls"],
        }
        for _ in range(args.rounds):
            rounds.append({form: measure_run(args, folder, form, config)
                           for form, config in configs.items()})
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spillway", default=os.path.join(ROOT, "build/release/spillway"))
    parser.add_argument("--prompts", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write all figures")
    args = parser.parse_args()
    if not os.access(args.spillway, os.X_OK):
        fail(f"{args.spillway} is missing; build first, or name one with --spillway")
    with tempfile.TemporaryDirectory(prefix="spillway-bench-") as folder:
        rounds = measure(args, folder)
    report = {}
    for form in rounds[0]:
        report[form] = {key: statistics.median(r[form][key] for r in rounds)
                        for key in rounds[0][form]}
        report[form]["ratio"] = statistics.median(
            r[form]["prompts_per_s"] / r["openai"]["prompts_per_s"] for r in rounds)
    print("form".ljust(20) + "prompts/s".rjust(12) + "CPU us".rjust(10) + "ratio".rjust(8))
    for form, figures in report.items():
        print(form.ljust(20) + f"{figures['prompts_per_s']:12,.0f}"
              f"{figures['cpu_us_per_prompt']:10.1f}{figures['ratio']:8.3f}")
    print(f"target: ratio >= {TARGET}")
    if args.json:
        write(args.json, json.dumps({"prompts": args.prompts, "cores": os.cpu_count(),
                                     "median": report, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
