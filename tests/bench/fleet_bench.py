#!/usr/bin/env python3
"""What the fleet is measured by, against a real broker on the same machine: throughput from Kafka
to Kafka beside `spillway run`, submission beside a plain librdkafka producer, fail-over, the restart
of a static member, and three members that share one quota. Prints a table; --json FILE writes all
figures. Build first; --spillway and --producer name other binaries."""

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
TARGETS = {
    "kafka_to_run": (">=", 0.5),
    "submit_per_s": (">=", 150_000),
    "submit_ratio": (">=", 0.5),
    "fail_over_s": ("<=", 10),
    "restart_s": ("<=", 1),
    "overshoot": ("<=", 0.01),
    "quota_used": (">=", 0.95),
}
CONNECTIONS = 512  # a prompt whose intent is on its way holds a place of its lane's concurrency
LINE_BYTES = 1024


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024


def write_large_prompts(path, count):
    """Prompts whose lines have 1 KB."""
    line = (
        '{"custom_id":"s-%d","method":"POST","url":"/v1/chat/completions","body":{"model":"'
        + support.MODEL
        + '","max_tokens":16,"messages":[{"role":"user","content":"%s"}]}}'
    )
    words = "where is my order and when will it come to my door " * 20
    with open(path, "w", encoding="utf-8") as file:
        for i in range(count):
            bare = len(line) - 4 + len(str(i))
            file.write(line % (i, words[: LINE_BYTES - 1 - bare]) + "\n")


class Figures:
    def __init__(self, args, broker, folder):
        self.args, self.broker, self.folder = args, broker, folder
        self._benches = []

    def bench(self):
        folder = self.folder / f"f{len(self._benches)}"
        folder.mkdir()
        self._benches.append(Bench(len(self._benches), self.broker, folder, self.args.prompts))
        return self._benches[-1]

    def close(self):
        for bench in self._benches:
            bench.close()
            if bench.outcome.problems:
                sys.exit("fleet_bench: " + "; ".join(bench.outcome.problems))

    # ---- throughput ----

    def throughput(self):
        """One member against `spillway run`, one after the other, at latency 0."""
        bench = self.bench()
        path = bench.folder / "prompts.jsonl"
        write_short_prompts(path, self.args.prompts)
        fleet = bench.fleet(
            members="a", concurrency=CONNECTIONS, sim={"latency": "0ms", "output_tokens": 8}
        ).create(observe=False)
        run_s, run_cpu = self._run(bench, fleet, path)
        fleet.keys = Numbered("bench", "q", self.args.prompts)
        fleet.command("submit", path, "--job", "bench")
        answered = fleet.sim.stats()["answered"]
        broker_cpu = cpu_seconds(self.broker.pid)
        began = time.monotonic()
        fleet.start("a")
        # The simulator's count alone: a reader of results would take its share of the cores.
        wait(lambda: fleet.sim.stats()["answered"] > answered, "the first answer", 60)
        up = time.monotonic() - began
        wait(
            lambda: fleet.sim.stats()["answered"] >= answered + self.args.prompts,
            "all answers",
            600,
            every=0.1,
        )
        pid = fleet.members["a"].popen.pid
        time.sleep(0.2)  # the last transaction; not part of the time measured
        member_cpu, rss = cpu_seconds(pid), peak_rss_mb(pid)
        broker_cpu = cpu_seconds(self.broker.pid) - broker_cpu
        took = self._from_first_to_last(fleet)
        fleet.observe().wait_done(seconds=300)
        fleet.stop("a")
        fleet.watch.catch_up()
        if fleet.watch.duplicates() or fleet.watch.surplus(fleet.keys):
            sys.exit("fleet_bench: the results are not right")
        prompts = self.args.prompts
        return {
            "run_per_s": prompts / run_s,
            "fleet_per_s": prompts / took,
            "kafka_to_run": run_s / took,
            "fleet_start_s": up,
            "run_cpu_us": run_cpu * 1e6 / prompts,
            "fleet_cpu_us": member_cpu * 1e6 / prompts,
            "broker_cpu_us": broker_cpu * 1e6 / prompts,
            "fleet_rss_mb": rss,
        }

    def _run(self, bench, fleet, path):
        """Seconds from start to exit, and CPU seconds, of `spillway run`."""
        config = bench.folder / "run.yaml"
        config.write_text(json.dumps({"pools": fleet.pools("a")}))
        began = time.monotonic()
        process = subprocess.Popen(
            [
                support.BINARY,
                "run",
                path,
                "-o",
                bench.folder / "run.jsonl",
                "-c",
                config,
                "--quiet",
                "--log-level",
                "warn",
            ],
            env={**os.environ, "SIM_KEY": support.KEY},
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"fleet_bench: spillway run ended with {process.returncode}")
        return time.monotonic() - began, usage.ru_utime + usage.ru_stime

    @staticmethod
    def _from_first_to_last(fleet):
        """Seconds from the first result produced to the last one, and a transaction's time."""
        topic = f"{fleet.name}.results"
        admin = kafka_client.Admin(fleet.brokers)
        ends = {p: admin.watermarks(topic, p) for p in range(fleet.partitions)}
        admin.close()
        times = []
        for p, (low, high) in ends.items():
            if low == high:
                continue
            for offset in (low, max(low, high - 200)):  # the end may hold markers only
                reader = kafka_client.Reader(fleet.brokers, {(topic, p): offset}, headers=False)
                found = reader.poll(5) if offset == low else reader.read_to_end()
                times += [record.timestamp for record in found]
                reader.close()
        return (max(times) - min(times)) / 1000 + 0.1

    # ---- submission ----

    def submission(self):
        bench = self.bench()
        path = bench.folder / "prompts.jsonl"
        count = self.args.submit_prompts
        write_large_prompts(path, count)
        rounds = []
        for number in range(self.args.rounds):
            fleet = bench.fleet().create(observe=False)
            plain = bench.fleet().create(observe=False)
            self._plain(plain, path, count)  # the first one to a topic is slower
            per_s = self._plain(plain, path, count)
            process = fleet.process(
                ["submit", path, "--job", "s", "--quiet", "-c", fleet.configure()],
                f"submit{number}",
            )
            began = time.monotonic()
            code = process.wait(600)
            took = time.monotonic() - began
            if code:
                sys.exit(f"fleet_bench: submit ended with {code}: {process.err[-1000:]}")
            rounds.append(
                {
                    "submit_per_s": count / took,
                    "plain_per_s": per_s,
                    "submit_ratio": count / took / per_s,
                }
            )
            fleet.close()
            plain.close()
        return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}

    def _plain(self, fleet, path, count):
        done = subprocess.run(
            [
                self.args.producer,
                fleet.brokers,
                f"{fleet.name}.results",
                str(fleet.partitions),
                path,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return count / float(done.stdout.split()[2])

    # ---- fail-over ----

    def deaths(self):
        """A member killed and not restarted; then one that is restarted at once."""
        bench = self.bench()
        fleet = bench.fleet(run_seconds=60).create().submit().start().wait_sending()
        fleet.wait_done(0.05)
        before = {p: set(found) for p, found in fleet.watch.sessions().items()}
        fleet.kill("a")
        died = time.time() * 1000

        def successors():
            return {
                p: [ms for s, ms in found.items() if s not in before.get(p, ())]
                for p, found in fleet.watch.first_intents().items()
            }

        # a's partitions: 3 of 8, or 2 when it came last.
        wait(lambda: sum(bool(found) for found in successors().values()) >= 2, "a successor", 30)
        fleet.wait_done(count=fleet.watch.done + 1000)
        times = [(min(found) - died) / 1000 for found in successors().values() if found]
        fleet.start("a").wait_sending("a")
        fleet.wait_done(count=fleet.watch.done + 500)
        fleet.kill("a")
        began, asked = time.monotonic(), fleet.requests("a")
        fleet.start("a")
        wait(lambda: fleet.requests("a") > asked, "the member is back", 30, every=0.002)
        restart = time.monotonic() - began
        fleet.finish()
        return {"fail_over_s": max(times), "fail_over_first_s": min(times), "restart_s": restart}

    # ---- quota ----

    def quota(self):
        """Three members, one pool: how much beyond its quota they ask for, and how much of it."""
        bench = self.bench()
        rpm, seconds = 12_000, self.args.quota_seconds
        pools = [support.sim_pool("shared", quota={"rpm": rpm, "burst": "1s"}, latency="50ms")]
        fleet = bench.fleet(shared_pools=pools, lane={"quota": {"rpm": rpm}}).create()
        paths, ids = fleet.prompts(int(rpm / 60 * (seconds + 30)))
        fleet.submit(paths, ids).start()
        # Even load from here on: each member has its partitions.
        wait(
            lambda: len(fleet.watch.first_intents()) == fleet.partitions, "all partitions send", 60
        )
        fleet.wait_done(count=int(rpm / 60 * 8))
        samples = []
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            stats = fleet.sim.stats()
            samples.append((time.monotonic(), stats["requests"], stats["refused_429"]))
            time.sleep(0.25)
        windows = [
            (n2 - n1) / (rpm / 60 * (t2 - t1))
            for i, (t1, n1, _) in enumerate(samples)
            for t2, n2, _ in samples[i + 1 :]
            if t2 - t1 >= min(60, seconds - 1)
        ]
        (t1, n1, r1), (t2, n2, r2) = samples[0], samples[-1]
        violations = fleet.sim.stats()["quota_violations"]
        fleet.stop("a", "b", "c")
        return {
            "overshoot": max(max(windows) - 1, 0),
            "quota_used": ((n2 - r2) - (n1 - r1)) / (rpm / 60 * (t2 - t1)),
            "quota_violations": violations,
            "share_429": (r2 - r1) / (n2 - n1),
        }


def show(figures):
    rows = [
        ("Kafka to Kafka, one member", "fleet_per_s", "{:,.0f} prompts/s"),
        ("spillway run", "run_per_s", "{:,.0f} prompts/s"),
        ("  ratio", "kafka_to_run", "{:.2f}"),
        ("  CPU a prompt: fleet", "fleet_cpu_us", "{:.0f} us"),
        ("  CPU a prompt: run", "run_cpu_us", "{:.0f} us"),
        ("  CPU a prompt: broker", "broker_cpu_us", "{:.0f} us"),
        ("  peak RSS", "fleet_rss_mb", "{:.0f} MB"),
        ("  start to first answer", "fleet_start_s", "{:.2f} s"),
        ("submit, 1 KB lines", "submit_per_s", "{:,.0f} prompts/s"),
        ("plain producer", "plain_per_s", "{:,.0f} prompts/s"),
        ("  ratio", "submit_ratio", "{:.2f}"),
        ("fail-over to first send", "fail_over_first_s", "{:.1f} s"),
        ("  last partition", "fail_over_s", "{:.1f} s"),
        ("restart of a static member", "restart_s", "{:.2f} s"),
        ("shared quota: overshoot", "overshoot", "{:.2%}"),
        ("  used", "quota_used", "{:.1%}"),
        ("  calls answered 429", "share_429", "{:.2%}"),
        ("  violations", "quota_violations", "{}"),
    ]
    for name, key, form in rows:
        if key not in figures:
            continue
        verdict = ""
        if key in TARGETS:
            sign, target = TARGETS[key]
            good = figures[key] >= target if sign == ">=" else figures[key] <= target
            verdict = f"{sign} {target:,}  {'ok' if good else 'MISSED'}"
        print(f"{name:<28}{form.format(figures[key]):>22}   {verdict}".rstrip())


def main():
    parts = ("throughput", "submission", "deaths", "quota")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spillway", default=str(ROOT / "build/release/spillway"))
    parser.add_argument("--producer", default=str(ROOT / "build/release/tests/plain_producer"))
    parser.add_argument("--only", choices=parts, action="append")
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--submit-prompts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="of the submission")
    parser.add_argument("--quota-seconds", type=int, default=70)
    parser.add_argument("--json", metavar="FILE", help="write all figures; - is standard output")
    args = parser.parse_args()
    os.environ["SPILLWAY_BIN"] = args.spillway
    sys.path.insert(0, str(ROOT / "tests" / "fault"))
    global Bench, Broker, Numbered, kafka_client, support, wait, write_short_prompts
    from fleet import Bench, Numbered, wait, write_short_prompts
    import kafka_client
    import support
    from kafka_local import Broker

    figures = {}
    with tempfile.TemporaryDirectory(prefix="spillway-fleet-bench-") as folder:
        with Broker(pathlib.Path(folder) / "kafka") as broker:
            measured = Figures(args, broker, pathlib.Path(folder))
            try:
                for part in args.only or parts:
                    figures.update(getattr(measured, part)())
            finally:
                measured.close()
    report = {
        "benchmark": "fleet",
        "cores": os.cpu_count(),
        "prompts": args.prompts,
        "targets": {k: f"{sign} {v}" for k, (sign, v) in TARGETS.items()},
        "figures": figures,
    }
    if args.json == "-":
        print(json.dumps(report, indent=2))
        return
    show(figures)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
