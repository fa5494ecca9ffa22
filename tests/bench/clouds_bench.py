#!/usr/bin/env python3
"""What other wire forms, signatures, tokens and TLS cost: the same batch through `spillway run` at
latency 0 as plain OpenAI form, as Converse with SigV4, as generateContent with OAuth, and as OpenAI
form over TLS, in turns against stubs on this machine. Prints the ratio to the plain form."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONNECTIONS = 128
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


def fail(text):
    sys.exit("clouds_bench: " + text)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Simulator:
    """`spillway simulate` for as long as the block lasts."""

    def __init__(self, spillway, folder, name, tls):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        self.account = os.path.join(self.folder, "account.json")
        self.ready = os.path.join(self.folder, "ready.json")
        config = os.path.join(self.folder, "sim.yaml")
        write(config, SIM.format(tls=tls, account=self.account))
        self.command = [spillway, "simulate", "-c", config, "--ready-file", self.ready]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not os.path.exists(self.ready):
            if self.process.poll() is not None or time.monotonic() > end:
                fail("the simulator did not start")
            time.sleep(0.01)
        with open(self.ready, encoding="utf-8") as file:
            ready = json.load(file)
        self.url, self.pools = ready["url"], ready["pools"]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def measure_run(args, folder, form, config):
    path = os.path.join(folder, form + ".yaml")
    write(path, config)
    out = os.path.join(folder, form + ".jsonl")
    began = time.monotonic()
    process = subprocess.Popen([args.spillway, "run", os.path.join(folder, "prompts.jsonl"), "-o",
                                out, "-c", path, "--quiet", "--log-level", "warn"],
                               env={**os.environ, **ENVIRONMENT})
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        fail(f"{form}: spillway run ended with exit code {process.returncode}")
    with open(out, "rb") as file:
        rows = sum(1 for _ in file)
    if rows != args.prompts:
        fail(f"{form}: {rows} result rows for {args.prompts} prompts")
    shutil.rmtree(out[:-len("jsonl")] + "state")
    os.remove(out)
    os.remove(out[:-len("jsonl")] + "errors.jsonl")
    return {"prompts_per_s": args.prompts / took,
            "cpu_us_per_prompt": (usage.ru_utime + usage.ru_stime) * 1e6 / args.prompts}


def write_prompts(path, count):
    with open(path, "w", encoding="utf-8") as out:
        for i in range(count):
            out.write('{"custom_id":"b-%d","method":"POST","url":"/v1/chat/completions","body":'
                      '{"model":"bench","max_tokens":16,"messages":[{"role":"user","content":'
                      '"[[id:b-%d]] Is this order late? Answer yes or no."}]}}\n' % (i, i))


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
    with Simulator(args.spillway, folder, "http", "") as plain, \
            Simulator(args.spillway, folder, "https", tls) as secure:
        lane = {form: LANE % (model, CONNECTIONS) + " }\n" for form, model in MODELS.items()}
        configs = {
            "openai": POOLS["openai"] % plain.pools["plain"] + lane["openai"],
            "converse": POOLS["converse"] % plain.pools["aws"] + lane["converse"],
            "generate-content": POOLS["generate-content"] % (
                plain.pools["google"], plain.account, plain.url + "/_sim/token")
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
