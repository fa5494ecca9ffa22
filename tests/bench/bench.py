#!/usr/bin/env python3
"""Throughput of one process against a provider stub on the same machine: `spillway run` with 128
connections at latency 0, and `wrk -t1 -c128` against the same stub, in turns. Prints a table;
--json FILE writes the figures. Build first; --spillway names another binary."""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONNECTIONS = 128
TARGETS = {"ratio_to_wrk": 0.25, "cpu_us_per_prompt": 60}

SIM = """listen: 127.0.0.1:0
threads: 1
pools:
  - { name: bench, provider: openai-compatible, latency: 0ms, output_tokens: 8 }
"""
POOLS = """pools:
  - name: bench
    provider: openai-compatible
    endpoint: %s
    connections: %d
    lanes: [{ model: bench, quota: { concurrency: %d } }]
"""


def fail(text):
    sys.exit("bench: " + text)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Simulator:
    """`spillway simulate` for as long as the block lasts."""

    def __init__(self, spillway, folder, config=SIM):
        self.command = [spillway, "simulate", "-c", os.path.join(folder, "sim.yaml"),
                        "--ready-file", os.path.join(folder, "ready.json")]
        self.ready = self.command[-1]
        write(self.command[3], config)

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

    def stats(self):
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.url + "/_sim/stats", timeout=10) as answer:
            return json.load(answer)["pools"]["bench"]


def measure_wrk(simulator, seconds):
    out = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s",
                          os.path.join(HERE, "chat.lua"),
                          simulator.pools["bench"] + "/chat/completions"],
                         capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        fail("the stub refused wrk:\n" + out)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def timed_run(spillway, folder, name, config, prompts, env=None):
    """One run of all prompts; its seconds from start to exit, and its process's resource usage.
    Nothing of it stays."""
    stem = os.path.join(folder, name)
    began = time.monotonic()
    process = subprocess.Popen([spillway, "run", os.path.join(folder, "prompts.jsonl"), "-o",
                                stem + ".jsonl", "-c", config, "--quiet", "--log-level", "warn"],
                               env={**os.environ, **(env or {})})
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        fail(f"spillway run ({name}) ended with exit code {process.returncode}")
    with open(stem + ".jsonl", "rb") as file:
        rows = sum(1 for _ in file)
    if rows != prompts:
        fail(f"{rows} result rows for {prompts} prompts ({name})")
    shutil.rmtree(stem + ".state")
    os.remove(stem + ".jsonl")
    os.remove(stem + ".errors.jsonl")
    return took, usage


def measure_run(spillway, simulator, folder, prompts, number):
    before = simulator.stats()
    took, usage = timed_run(spillway, folder, f"run{number}", os.path.join(folder, "pools.yaml"),
                            prompts)
    after = simulator.stats()
    calls = after["requests"] - before["requests"]
    return {"prompts_per_s": prompts / took,
            "cpu_us_per_prompt": (usage.ru_utime + usage.ru_stime) * 1e6 / prompts,
            "cpu_user_us": usage.ru_utime * 1e6 / prompts,
            "cpu_sys_us": usage.ru_stime * 1e6 / prompts,
            "peak_rss_mb": usage.ru_maxrss / 1024,
            "calls_per_prompt": calls / prompts,
            "share_429": (after["refused_429"] - before["refused_429"]) / calls}


def write_prompts(path, count):
    with open(path, "w", encoding="utf-8") as out:
        for i in range(count):
            out.write('{"custom_id":"b-%d","method":"POST","url":"/v1/chat/completions","body":'
                      '{"model":"bench","max_tokens":16,"messages":[{"role":"user","content":'
                      '"[[id:b-%d]] Is this order late? Answer yes or no."}]}}\n' % (i, i))


def measure(args, folder):
    write_prompts(os.path.join(folder, "prompts.jsonl"), args.prompts)
    rounds = []
    with Simulator(args.spillway, folder) as simulator:
        write(os.path.join(folder, "pools.yaml"),
              POOLS % (simulator.pools["bench"], CONNECTIONS, CONNECTIONS))
        for number in range(args.rounds):
            wrk = measure_wrk(simulator, args.seconds)
            run = measure_run(args.spillway, simulator, folder, args.prompts, number)
            rounds.append({**run, "wrk_per_s": wrk, "ratio_to_wrk": run["prompts_per_s"] / wrk})
    return rounds


def show(rounds, medians):
    columns = (("prompts/s", "prompts_per_s", ",.0f"), ("wrk/s", "wrk_per_s", ",.0f"),
               ("ratio", "ratio_to_wrk", ".3f"), ("CPU us/prompt", "cpu_us_per_prompt", ".1f"),
               ("user", "cpu_user_us", ".1f"), ("sys", "cpu_sys_us", ".1f"),
               ("peak RSS MB", "peak_rss_mb", ".0f"), ("calls/prompt", "calls_per_prompt", ".3f"),
               ("429 share", "share_429", ".4f"))
    print("".ljust(8) + "".join(name.rjust(15) for name, _, _ in columns))
    for label, figures in [(f"round {i + 1}", r) for i, r in enumerate(rounds)] + [
            ("median", medians)]:
        print(label.ljust(8) + "".join(format(figures[key], form).rjust(15)
                                       for _, key, form in columns))
    print(f"targets: ratio >= {TARGETS['ratio_to_wrk']}, "
          f"CPU <= {TARGETS['cpu_us_per_prompt']} us/prompt")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spillway", default=os.path.join(ROOT, "build/release/spillway"))
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each wrk measurement")
    parser.add_argument("--json", metavar="FILE", help="write all figures; - is standard output")
    args = parser.parse_args()
    if not os.access(args.spillway, os.X_OK):
        fail(f"{args.spillway} is missing; build first: cmake --preset release && "
             "cmake --build --preset release, or name one with --spillway")
    if not shutil.which("wrk"):
        fail("wrk is missing; deploy/setup.sh --tests installs it")
    with tempfile.TemporaryDirectory(prefix="spillway-bench-") as folder:
        rounds = measure(args, folder)
    medians = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    report = {"benchmark": "latency 0, 128 connections, short chat prompts",
              "prompts": args.prompts, "connections": CONNECTIONS, "cores": os.cpu_count(),
              "targets": TARGETS, "median": medians, "rounds": rounds}
    if args.json == "-":
        print(json.dumps(report, indent=2))
        return
    show(rounds, medians)
    if args.json:
        write(args.json, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
