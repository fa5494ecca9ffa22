#!/usr/bin/env python3
"""Throughput of `spillway submit` against a plain librdkafka producer of the same bytes (records of
512 KB, nothing checked or counted), in turns, on a broker of its own. Prints a table; --json FILE
writes the figures. Build first: spillway and spillway_plain_producer."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from kafka_local import Broker  # noqa: E402

PARTITIONS = 4
LINE_BYTES = 1024
TARGETS = {"prompts_per_s": 150_000, "ratio_to_plain": 0.5}


def fail(text):
    sys.exit("submit_bench: " + text)


def write_prompts(path, count):
    head = '{"custom_id":"b-%08d","method":"POST","url":"/v1/chat/completions","body":'
    head += '{"model":"bench","max_tokens":16,"messages":[{"role":"user","content":"'
    tail = '"}]}}\n'
    pad = "Is this order late? Answer yes or no. " * 40
    pad = pad[: LINE_BYTES - len(head % 0) - len(tail)]
    with open(path, "w", encoding="utf-8") as out:
        for i in range(count):
            out.write(head % i + pad + tail)


def run(command):
    """Output and the process's own resource usage."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        fail(f"{command[0]} {command[1]} ended with exit code {process.returncode}")
    return out, time.monotonic() - began, usage


def measure(args, folder):
    prompts = folder / "prompts.jsonl"
    write_prompts(prompts, args.prompts)
    rounds = []
    with Broker(folder / "kafka") as broker:
        fleets = {}
        for name in ("ours", "plain"):
            fleets[name] = folder / f"{name}.yaml"
            fleets[name].write_text(json.dumps({"kafka": {
                "brokers": [broker.bootstrap], "fleet": name, "partitions": PARTITIONS,
                "replication": 1}}))
            run([args.spillway, "topics", "create", "-c", fleets[name]])
        for number in range(args.rounds):
            out, _, _ = run([args.plain, broker.bootstrap, "plain.shards", str(PARTITIONS), prompts])
            plain = args.prompts / float(out)
            _, took, usage = run([args.spillway, "submit", prompts, "--job", f"job{number}", "-c",
                                  fleets["ours"], "--quiet"])
            rounds.append({
                "prompts_per_s": args.prompts / took,
                "plain_per_s": plain,
                "ratio_to_plain": args.prompts / took / plain,
                "cpu_us_per_prompt": (usage.ru_utime + usage.ru_stime) * 1e6 / args.prompts,
                "peak_rss_mb": usage.ru_maxrss / 1024,
            })
    return rounds


def show(rounds, medians):
    columns = (("prompts/s", "prompts_per_s", ",.0f"), ("plain/s", "plain_per_s", ",.0f"),
               ("ratio", "ratio_to_plain", ".3f"), ("CPU us/prompt", "cpu_us_per_prompt", ".2f"),
               ("peak RSS MB", "peak_rss_mb", ".0f"))
    print("".ljust(8) + "".join(name.rjust(15) for name, _, _ in columns))
    for label, figures in [(f"round {i + 1}", r) for i, r in enumerate(rounds)] + [
            ("median", medians)]:
        print(label.ljust(8) + "".join(format(figures[key], form).rjust(15)
                                       for _, key, form in columns))
    print(f"targets: prompts/s >= {TARGETS['prompts_per_s']:,}, "
          f"ratio >= {TARGETS['ratio_to_plain']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spillway", default=ROOT / "build/release/spillway")
    parser.add_argument("--plain", default=ROOT / "build/release/tests/spillway_plain_producer")
    parser.add_argument("--prompts", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write all figures; - is standard output")
    args = parser.parse_args()
    for binary in (args.spillway, args.plain):
        if not os.access(binary, os.X_OK):
            fail(f"{binary} is missing; build it: cmake --build --preset release --target "
                 "spillway spillway_plain_producer")
    with tempfile.TemporaryDirectory(prefix="spillway-bench-") as folder:
        rounds = measure(args, pathlib.Path(folder))
    medians = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    report = {"benchmark": "submit, prompts of 1 KB, broker on the same machine",
              "prompts": args.prompts, "cores": os.cpu_count(), "targets": TARGETS,
              "median": medians, "rounds": rounds}
    if args.json == "-":
        print(json.dumps(report, indent=2))
        return
    show(rounds, medians)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
