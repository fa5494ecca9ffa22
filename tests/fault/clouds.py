#!/usr/bin/env python3
"""Faults of clouds: `spillway run` of the installed binary over simulated providers, each asked in
its own protocol, and one fault after another. Prints a table; exit code 1 when any row failed.

    tests/fault/clouds.py                  all rows, 5,000 prompts each
    tests/fault/clouds.py --rows 1,4       some of them

Rows mostly wait, so several run at once, each with a simulator of its own. The binary is `spillway` on PATH, $SPILLWAY_BIN or --spillway. Needs no broker."""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
if "--spillway" in sys.argv:  # before the module that reads it is loaded
    at = sys.argv.index("--spillway") + 1
    os.environ["SPILLWAY_BIN"] = str(pathlib.Path(sys.argv[at]).resolve())

import support  # noqa: E402
from clouds_support import ENVIRONMENT, NAMES, cloud, identity, sim_cloud  # noqa: E402

PROMPTS, PROMPTS_MIN = 5_000, 1_000  # fewer would each have to take longer than a call may
RUN_SECONDS_MAX = 180
CONCURRENCY = 32
SLOW = 8  # of lanes whose runs are to last some seconds
SILENCE_SECONDS_MAX = 5  # while some cloud is well

Row = collections.namedtuple("Row", "number fault expected minutes run")
Outcome = collections.namedtuple("Outcome", "number seconds lost duplicates resent notes problems")
ROWS = {}


def row(number, fault, expected, minutes=False):
    """`minutes`: it takes more than one, whatever the number of prompts."""

    def register(run):
        ROWS[number] = Row(number, fault, expected, minutes, run)
        return run

    return register


class Bench:
    """One row: a simulator, a run over its clouds, and the verdict."""

    def __init__(self, folder, prompts, seed):
        self.folder, self.prompts, self.seed = folder, prompts, seed
        self.problems, self.notes = [], []
        self.lost = self.duplicates = self.resent = 0
        self._cleanups = contextlib.ExitStack()
        self.output, self.errors = folder / "out.jsonl", folder / "out.errors.jsonl"

    def simulate(self, *pools, **changes):
        self.sim = support.Simulator(
            self.folder, list(pools), seed=self.seed, identity=identity(**changes)
        )
        self._cleanups.callback(self.sim.stop)
        return self.sim

    def start(self, pools, **policy):
        job = {"max_attempts": 50, **policy}
        config = self.folder / "pools.yaml"
        config.write_text(json.dumps({"pools": pools, "job": job}, indent=1))
        source = self.folder / "in.jsonl"
        self.ids = support.write_prompts(source, self.prompts)
        self.began = time.monotonic()
        self.process = support.Process(
            ["run", source, "-o", self.output, "-c", config, "--json"],
            self.folder, "run", ENVIRONMENT,
        )
        self._cleanups.callback(self.process.kill)
        return self.process

    def wait_answers(self, count):
        def reached():
            assert self.process.code is None, "the run ended early: " + self.process.err[-2000:]
            return self.sim.stats()["answered"] >= count

        support.wait_until(reached, f"{count} answers", RUN_SECONDS_MAX)

    def follow(self, count, until, seconds):
        """Watches `count(stats)` until `until(stats)`: how much it grew, and the longest time in
        which it did not."""
        first = last = count(self.sim.stats())
        moved, silence = time.monotonic(), 0
        deadline = moved + seconds
        while True:
            stats, now = self.sim.stats(), time.monotonic()
            silence = max(silence, now - moved)
            if count(stats) != last:
                last, moved = count(stats), now
            if until(stats):
                return last - first, silence
            assert now < deadline, f"not within {seconds} s"
            time.sleep(0.1)

    def expect(self, condition, problem):
        if not condition:
            self.problems.append(problem)

    def note(self, text):
        self.notes.append(text)

    def finish(self, resent=0):
        """The invariants: every prompt answered once by its own answer, no call repeated beyond
        `resent` (calls whose answer was lost may be), and nothing billed that is not accounted."""
        code = self.process.wait(RUN_SECONDS_MAX)
        self.expect(code == 0, f"exit code {code}; {self.process.err[-1500:]}")
        rows = support.read_rows(self.output)
        answered = [r["custom_id"] for r in rows]
        self.lost = len(set(self.ids) - set(answered))
        self.duplicates = len(answered) - len(set(answered))
        stats = self.sim.stats()
        self.resent = stats["repeated_ids"] - stats["failed_5xx"]
        bound = resent(stats) if callable(resent) else resent
        self.expect(self.lost == 0, f"{self.lost} prompts have no answer")
        self.expect(self.duplicates == 0, f"{self.duplicates} prompts have two")
        self.expect(self.resent <= bound, f"{self.resent} sent again, at most {bound} expected")
        wrong = [r["custom_id"] for r in rows
                 if f"[[re:{r['custom_id']}]]" not in support.answer_text(r)]
        self.expect(not wrong, f"somebody else's answers: {wrong[:3]}")
        summary = self.process.summary()
        self.expect(summary["cost_usd"] + 1e-9 >= stats["billed_usd"],
                    f"billed {stats['billed_usd']}, accounted {summary['cost_usd']}")
        self.rows, self.stats, self.summary = rows, stats, summary
        return stats

    def by_pool(self):
        return collections.Counter(r["spillway"]["pool"] for r in self.rows)

    def close(self):
        self._cleanups.close()


def lane_of(name, **changes):
    own = {"as": NAMES[name], "quota": {"concurrency": CONCURRENCY}, "timeout": "3s"}
    return [support.lane(**{**own, **changes})]


THREE = ("bedrock", "vertex", "azure")


def three(bench, latency="60ms", **faulty):
    """Three clouds that together answer some 400 prompts a second; `faulty`: changes of some."""
    sim = bench.simulate(*[sim_cloud(n, latency=latency, **faulty.get(n, {})) for n in THREE])
    slow = {"quota": {"concurrency": SLOW}}
    return sim, [cloud(n, sim, lane_of(n, **slow)) for n in THREE]


def latency_for(bench, seconds, clouds):
    """With it the prompts take so long, in SLOW calls at once on each of the clouds."""
    return f"{1000 * seconds * SLOW * clouds // bench.prompts}ms"


def one_minute(bench, name, counter, fault, resent=0):
    """One of three clouds has `fault` for 60 s in the middle of the job, which `counter` counts.
    The others go on meanwhile, and it comes back."""
    sim, pools = three(bench, latency=latency_for(bench, 60, len(THREE)))
    bench.start(pools)
    bench.wait_answers(bench.prompts * 0.1)
    sim.control(pool=name, faults=[{**fault, "to": "60s"}])
    began = time.monotonic()
    others = lambda s: sum(s["pools"][n]["answered"] for n in THREE if n != name)  # noqa: E731
    passed = lambda seconds: lambda _: time.monotonic() >= began + seconds  # noqa: E731
    early, silence_early = bench.follow(others, passed(45), 60)
    before = sim.stats()["pools"][name]
    late, silence_late = bench.follow(others, passed(60), 30)
    after = sim.stats()["pools"][name]
    stats = bench.finish(resent)
    met, back = stats["pools"][name][counter], stats["pools"][name]["answered"] - after["answered"]
    answers, silence = early + late, max(silence_early, silence_late)
    bench.note(f"{met} calls met it; the others gave {answers} answers in that minute, never "
               f"silent for more than {silence:.1f} s; {back} answers afterwards")
    bench.expect(after[counter] > before[counter] > 0, "it was not there all the time")
    bench.expect(after["answered"] == before["answered"], "it answered meanwhile")
    bench.expect(met < 100, f"{met} calls went to a cloud that gave no answer")
    bench.expect(silence < SILENCE_SECONDS_MAX, f"nobody answered for {silence:.1f} s")
    bench.expect(answers > bench.prompts / 3, f"only {answers} answers of the others")
    bench.expect(back > 0, "it was never asked again")


@row(1, "one cloud black-holed for a minute", "shifted; re-sent <= swallowed", minutes=True)
def black_hole(bench):
    one_minute(bench, "bedrock", "dropped", {"kind": "hang", "share": 1}, lambda s: s["dropped"])


@row(2, "one cloud answers 5xx for a minute", "shifted; comes back", minutes=True)
def errors_5xx(bench):
    one_minute(bench, "azure", "failed_5xx", {"kind": "error", "status": 500})


def storm(name):
    def run(bench):
        """For three seconds most calls are refused, in the provider's own words."""
        faults = [{"kind": "error", "status": 429, "share": 0.7, "to": "3s"}]
        changes = {"quota": {"rpm": 60_000, "burst": "1s"}, "faults": faults, "latency": "20ms"}
        sim = bench.simulate(sim_cloud(name, **changes))
        bench.start([cloud(name, sim, lane_of(name))], max_attempts=1)
        stats = bench.finish()
        bench.note(f"{stats['refused_429']} refused")
        bench.expect(stats["refused_429"] > 0, "there was no storm")

    return run


for offset, provider in enumerate(NAMES):
    row(3 + offset, f"429 storm, {provider}", "attempts unspent")(storm(provider))


@row(9, "quota cut to a tenth for a while", "no more than the rest goes there")
def quota_cut(bench):
    sim, pools = three(bench, vertex={"quota": {"rpm": 9_000, "burst": "1s"}})
    bench.start(pools)
    bench.wait_answers(bench.prompts * 0.1)
    sim.control(pool="vertex", faults=[{"kind": "quota", "factor": 0.1, "to": "3s"}])
    stats = bench.finish()
    vertex = stats["pools"]["vertex"]
    bench.note(f"{vertex['refused_429']} refused of {vertex['requests']}")
    bench.expect(vertex["refused_429"] > 0, "the cut was not felt")
    bench.expect(vertex["refused_429"] < bench.prompts / 2, "it was hammered")


@row(10, "model withdrawn mid-job", "lane down; others finish")
def withdrawn(bench):
    sim, pools = three(bench)
    bench.start(pools)
    bench.wait_answers(bench.prompts * 0.2)
    sim.control(pool="bedrock", faults=[{"kind": "missing-model"}])
    stats = bench.finish()
    lost = stats["pools"]["bedrock"]["refused_4xx"]
    bench.note(f"{lost} calls met the missing model")
    bench.expect(lost <= 4 * SLOW, f"{lost} calls to a model that is gone")
    health = {x["pool"]: x["health"] for x in bench.summary["lanes"]}
    bench.expect(health["bedrock"] == "down-model", f"health: {health}")


@row(11, "residency: the only lane is down", "waits, says so, never leaks")
def residency(bench):
    sim = bench.simulate(
        sim_cloud("vertex", latency="20ms", location="europe-west4",
                  faults=[{"kind": "down", "from": "1s", "to": "6s"}]),
        sim_cloud("bedrock", latency="20ms"),
        sim_cloud("openai", latency="20ms"),
    )
    pools = [
        cloud("bedrock", sim, lane_of("bedrock")),
        cloud("openai", sim, lane_of("openai")),
        cloud("vertex", sim, lane_of("vertex"), location="europe-west4", residency=["eu"]),
    ]
    bench.start(pools, residency=["eu"])
    stats = bench.finish()
    bench.expect(stats["pools"]["bedrock"]["requests"] == 0, "prompts left the EU")
    bench.expect(stats["pools"]["openai"]["requests"] == 0, "prompts went to no known place")
    bench.expect({r["spillway"]["pool"] for r in bench.rows} == {"vertex"}, "rows of other pools")
    events = bench.process.events()
    seen = {x["health"] for e in events for x in e["lanes"] if x["pool"] == "vertex"}
    bench.note(f"the lane was {sorted(seen)}")
    bench.expect(len(seen) > 1, "nothing said that the lane was down")


def token_clouds(bench, latency, **identity):
    sim = bench.simulate(*[sim_cloud(n, latency=latency) for n in ("azure", "vertex")], **identity)
    slow = {"quota": {"concurrency": SLOW}}
    bench.start([cloud(n, sim, lane_of(n, **slow)) for n in ("azure", "vertex")])
    return sim


@row(12, "token endpoints down for a minute, tokens valid", "nobody notices", minutes=True)
def token_endpoints(bench):
    """Tokens are due at half of their life. That falls into the fault, which ends before they do:
    the retries 1, 2, 4 and 8 s apart fail, the one after 16 s brings new ones."""
    sim = token_clouds(bench, latency_for(bench, 80, 2), token_lifetime="90s")
    sim.wait_for(lambda s: all(p["answered"] for p in s["pools"].values()), "answers of both")
    for service, fault in (("google", {"kind": "down"}), ("entra", {"kind": "error", "status": 500})):
        sim.control(service=service, faults=[{**fault, "to": "60s"}])
    began = time.monotonic()
    answered = lambda s: s["answered"]  # noqa: E731
    issued = lambda s: [s["identity"][n]["issued"] for n in ("google", "entra")]  # noqa: E731
    had = issued(sim.stats())
    _, silence = bench.follow(
        answered, lambda s: all(now > before for now, before in zip(issued(s), had)), 85
    )
    waited = time.monotonic() - began
    bench.note(f"new tokens {waited:.0f} s after the fault began; never silent for more than "
               f"{silence:.1f} s")
    bench.expect(waited >= 60, "new tokens came during the fault")
    bench.expect(silence < SILENCE_SECONDS_MAX, f"nobody answered for {silence:.1f} s")
    stats = bench.finish()
    for service in ("google", "entra"):
        failed = stats["identity"][service]["failed"]
        bench.expect(3 <= failed <= 8, f"{service}: asked {failed} times while it was down")
    bench.expect(stats["refused_auth"] == 0, "a token was sent after its end")


@row(13, "tokens expire, their endpoints are down for a while", "waits; nothing fails")
def credentials(bench):
    token_clouds(
        bench,
        "60ms",
        token_lifetime="3s",
        google={"faults": [{"kind": "down", "from": "1s", "to": "4s"}]},
        entra={"faults": [{"kind": "error", "status": 500, "from": "1s", "to": "4s"}]},
    )
    stats = bench.finish()
    for service in ("google", "entra"):
        counts = stats["identity"][service]
        bench.note(f"{service}: {counts['issued']} tokens, {counts['failed']} times refused one")
        bench.expect(counts["issued"] > 2, f"{service}: no token had to be replaced")
        bench.expect(counts["failed"] > 0, f"{service}: the fault was not met")


def run_row(number, folder, args):
    folder.mkdir()
    bench = Bench(folder, args.prompts, args.seed)
    began = time.monotonic()
    try:
        ROWS[number].run(bench)
    except Exception as failure:
        bench.problems.append(f"{type(failure).__name__}: {failure}")
        (folder / "traceback.txt").write_text(traceback.format_exc())
    bench.close()
    if not args.keep and not bench.problems:
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome(number, time.monotonic() - began, bench.lost, bench.duplicates, bench.resent,
                   bench.notes, bench.problems)


def tell(outcome):
    print(f"{'FAIL' if outcome.problems else 'ok  '} {outcome.number:3} "
          f"{ROWS[outcome.number].fault} ({outcome.seconds:.0f} s)", flush=True)
    for text in (*outcome.notes, *outcome.problems):
        print("         " + text.replace("\n", "\n         "), flush=True)


def show(outcomes):
    print(f"\n{'#':>3}  {'fault':<52} {'lost':>5} {'dup':>4} {'re-sent':>8} {'s':>4}  expected")
    for outcome in sorted(outcomes):
        chosen, verdict = ROWS[outcome.number], "FAIL" if outcome.problems else "ok"
        print(f"{chosen.number:>3}  {chosen.fault:<52} {outcome.lost:>5} {outcome.duplicates:>4} "
              f"{outcome.resent:>8} {outcome.seconds:>4.0f}  {chosen.expected}: {verdict}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", help="numbers, with commas")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="a row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=4, help="rows at once")
    parser.add_argument("--keep", metavar="DIR", help="logs of all rows; else of failed ones only")
    parser.add_argument("--spillway", help="the binary under test")
    args = parser.parse_args()
    if args.prompts < PROMPTS_MIN:
        parser.error(f"--prompts: at least {PROMPTS_MIN:,}")
    chosen = [int(n) for n in args.rows.split(",")] if args.rows else sorted(ROWS)
    chosen.sort(key=lambda n: not ROWS[n].minutes)  # the others fit beside them
    folder = pathlib.Path(args.keep or tempfile.mkdtemp(prefix="spillway-clouds-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    began, outcomes = time.monotonic(), []
    # Processes, not threads: what a row starts ends with the thread that started it.
    with concurrent.futures.ProcessPoolExecutor(
        args.jobs, initializer=support.die_with_parent
    ) as pool:
        rows = [pool.submit(run_row, number, folder / f"row{number}", args) for number in chosen]
        for done in concurrent.futures.as_completed(rows):
            outcomes.append(done.result())
            tell(outcomes[-1])
    show(outcomes)
    failed = [outcome.number for outcome in outcomes if outcome.problems]
    if failed or args.keep:
        print(f"\nLogs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{args.prompts:,} prompts a row, {time.monotonic() - began:.0f} s; "
          f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
