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
import datetime
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
RATE = 100  # prompts a second that the quota of such a lane allows
BUSY = 0.5  # share of its concurrency in use at that rate: the quota binds
SILENCE_SECONDS_MAX = 5  # while some cloud is well
SHIFT_SECONDS_MAX = 2  # to the first answer of the others
FINISH_MAX = 1.25  # times the best possible with what quotas are left
CUT_SECONDS = 6  # of a quota
REFUSED_SHARE_MAX = 0.005  # of calls, by limits that the lanes know
BUDGET_A_PROMPT = 0.0003  # USD; twice what it costs, less than what is set aside for a call
TOKENS_A_PROMPT, TOKENS_A_PROMPT_MAX = 100, 300  # charged by Vertex; by any, with room

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
        self.job = {"max_attempts": 50, "budget_usd": BUDGET_A_PROMPT * self.prompts, **policy}
        self.residency = {pool["name"]: set(pool.get("residency", [])) for pool in pools}
        config = self.folder / "pools.yaml"
        config.write_text(json.dumps({"pools": pools, "job": self.job}, indent=1))
        self.ids = support.write_prompts(self.folder / "in.jsonl", self.prompts)
        self.run("run")

    def run(self, name, *flags):
        """Starts the job of `start`, or goes on with it."""
        self.began = time.time()
        self.process = support.Process(
            ["run", self.folder / "in.jsonl", "-o", self.output, "-c", self.folder / "pools.yaml",
             "--json", *flags],
            self.folder, name, ENVIRONMENT,
        )
        self._cleanups.callback(self.process.kill)

    def wait_for(self, condition, what):
        def reached():
            assert self.process.code is None, "the run ended early: " + self.process.err[-2000:]
            return condition(self.sim.stats())

        support.wait_until(reached, what, RUN_SECONDS_MAX)

    def wait_answers(self, count):
        self.wait_for(lambda s: s["answered"] >= count, f"{count} answers")

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

    def finish(self, resent=0, refused_share=REFUSED_SHARE_MAX):
        """The invariants: every prompt answered once by its own answer, no call repeated beyond
        `resent` (calls whose answer was lost may be), and the limits kept: see `check_limits`."""
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
        self.rows, self.stats = rows, stats
        self.check_limits(stats, refused_share)
        return stats

    def check_limits(self, stats, refused_share=REFUSED_SHARE_MAX):
        """Money: billed <= accounted <= budget. Rates: no minute above a quota, and no more than
        `refused_share` of the calls refused for one (None: the row refuses some itself). Places:
        nothing outside of the job's residency is asked, or answers."""
        self.summary = self.process.summary()
        cost, billed, budget = self.summary["cost_usd"], stats["billed_usd"], self.job["budget_usd"]
        self.expect(cost + 1e-9 >= billed, f"billed {billed}, accounted {cost}")
        self.expect(cost <= budget + 1e-9, f"spent {cost} of {budget}")
        over = stats["quota_violations"]
        self.expect(over == 0, f"{over} calls in a minute whose quota was used up")
        if refused_share is not None:
            self.expect(stats["refused_429"] <= refused_share * stats["requests"],
                        f"{stats['refused_429']} of {stats['requests']} calls beyond a limit")
        if "residency" in self.job:
            allowed = set(self.job["residency"])
            outside = [n for n, places in self.residency.items() if not places or places - allowed]
            self.expect(outside, "there is no cloud to leak to")
            asked = {name: stats["pools"][name]["requests"] for name in outside}
            self.expect(not any(asked.values()), f"outside of {sorted(allowed)}: {asked}")
            leaked = [r["custom_id"] for r in support.read_rows(self.output)
                      if r["spillway"]["pool"] in outside]
            self.expect(not leaked, f"answered outside of {sorted(allowed)}: {leaked[:3]}")

    def close(self):
        self._cleanups.close()


def lane_of(name, concurrency=CONCURRENCY, **quota):
    own = {"as": NAMES[name], "quota": {"concurrency": concurrency, **quota}, "timeout": "3s"}
    return [support.lane(**own)]


def quota_of(name, rate):
    """A quota for `rate` prompts a second: Vertex limits tokens, the others requests before that."""
    rpm = round(60 * rate)
    if name == "vertex":
        return {"tpm": rpm * TOKENS_A_PROMPT}
    return {"rpm": rpm, "tpm": rpm * TOKENS_A_PROMPT_MAX}


def quick(quota):
    """As a provider that looks at each second enforces it, not only at the minute."""
    return {**quota, "burst": "1s"}


def start_slow(bench, names, rate, identity=None, **policy):
    """A job on clouds whose quotas let `rate` prompts a second through each, beside one that is
    faster and cheaper, but in a place where the job may not go."""
    latency = f"{1000 * BUSY * SLOW / rate:.0f}ms"
    price = {"input": 0.01, "output": 0.02}
    sim = bench.simulate(
        *[sim_cloud(n, latency=latency, quota=quick(quota_of(n, rate))) for n in names],
        sim_cloud(ELSEWHERE, price=price), **(identity or {}),
    )
    pools = [cloud(n, sim, lane_of(n, SLOW, **quota_of(n, rate)), residency=[PLACES[n]])
             for n in names]
    pools.append(cloud(ELSEWHERE, sim, [support.lane(price=price)], residency=["ap"]))
    bench.start(pools, residency=["us", "eu"], **policy)
    return sim


THREE = ("bedrock", "vertex", "azure")
TWO = ("azure", "vertex")  # whose credentials are tokens
ELSEWHERE = "openai"
PLACES = {"bedrock": "us", "azure": "us", "vertex": "eu"}


def rate_for(bench, seconds, clouds):
    """At it the prompts take so long on all of the clouds."""
    return bench.prompts / seconds / clouds


def note_finish(bench, rate, name, fault_at, seconds, lost=1):
    """How long the job took beside the best possible: all quotas used up, but of that of `name`
    the share that was `lost` for some seconds."""
    stats = bench.stats["pools"]["vertex"]
    charged = (stats["input_tokens"] + stats["output_tokens"]) / stats["answered"]
    rates = {n: quota_of(n, rate).get("rpm", 0) / 60 for n in THREE}
    rates["vertex"] = quota_of("vertex", rate)["tpm"] / 60 / charged
    total, before = sum(rates.values()), fault_at - bench.began
    cut = total - lost * rates[name]
    best = before + (bench.prompts - total * before) / cut
    if best > before + seconds:
        best = (bench.prompts + lost * rates[name] * seconds) / total
    took = bench.summary["elapsed_s"]
    bench.note(f"finished in {took:.1f} s; {best:.1f} s is the best possible with what quotas were "
               f"left: {took / best:.2f} times that")
    bench.expect(took <= FINISH_MAX * best, "the quotas of the others were not used")


def check_shift(bench, name, fault_at):
    """How soon the others answered after the fault, and those prompts that had met it."""
    others = [(r["spillway"]["done_at"], r["spillway"]["attempts"]) for r in bench.rows
              if r["spillway"]["pool"] != name]
    after = [(moment(done) - fault_at, attempts) for done, attempts in others
             if moment(done) > fault_at]
    shifted = min((passed for passed, attempts in after if attempts > 1), default=None)
    first = min((passed for passed, _ in after), default=float("inf"))
    bench.note(f"shifted in {first:.2f} s (first answer of the others); first of a prompt that had "
               "met it: " + ("none" if shifted is None else f"{shifted:.2f} s"))
    bench.expect(first <= SHIFT_SECONDS_MAX, f"shifted in {first:.1f} s")


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def one_minute(bench, name, counter, fault, resent=0):
    """One of three clouds has `fault` for 60 s in the middle of the job, which `counter` counts.
    The others go on meanwhile, and it comes back."""
    rate = rate_for(bench, 60, len(THREE))
    sim = start_slow(bench, THREE, rate)
    bench.wait_answers(bench.prompts * 0.1)
    fault_at, began = time.time(), time.monotonic()
    sim.control(pool=name, faults=[{**fault, "to": "60s"}])
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
    check_shift(bench, name, fault_at)
    note_finish(bench, rate, name, fault_at, 60)
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


STORM_RPM = 30_000


def storm(name):
    def run(bench):
        """For three seconds most calls are refused, in the provider's own words."""
        faults = [{"kind": "error", "status": 429, "share": 0.7}]
        quota = {"rpm": STORM_RPM, "tpm": STORM_RPM * TOKENS_A_PROMPT_MAX}
        changes = {"quota": quick(quota), "faults": faults, "latency": "20ms"}
        sim = bench.simulate(sim_cloud(name, **changes))
        bench.start([cloud(name, sim, lane_of(name, **quota))], max_attempts=1)
        bench.wait_for(lambda s: s["refused_429"] > 0, "the storm is felt")
        sim.control(pool=name, faults=[{**faults[0], "to": "3s"}])
        stats = bench.finish(refused_share=None)
        bench.note(f"{stats['refused_429']} refused")

    return run


for offset, provider in enumerate(NAMES):
    row(3 + offset, f"429 storm, {provider}", "attempts unspent")(storm(provider))


@row(9, "quota cut to a tenth for a while", "asked no faster for it; others full")
def quota_cut(bench):
    """Refusals tell the lane when one call may go, not the rate. It is checked that it asks no
    faster for them than the quota it knows, that what is left is used, and that nobody refuses
    calls of the others."""
    sim = start_slow(bench, THREE, RATE)
    bench.wait_answers(bench.prompts * 0.1)
    fault_at = time.time()
    sim.control(pool="vertex", faults=[{"kind": "quota", "factor": 0.1, "to": f"{CUT_SECONDS}s"}])
    stats = bench.finish(refused_share=None)
    vertex = stats["pools"]["vertex"]
    bench.note(f"{vertex['refused_429']} refused of {vertex['requests']}")
    bench.expect(vertex["refused_429"] > 0, "the cut was not felt")
    bench.expect(vertex["refused_429"] < RATE * CUT_SECONDS, "it was asked faster than before")
    refused = sum(stats["pools"][n]["refused_429"] for n in THREE if n != "vertex")
    bench.expect(refused <= REFUSED_SHARE_MAX * stats["requests"], f"others refused {refused}")
    note_finish(bench, RATE, "vertex", fault_at, CUT_SECONDS, lost=0.9)


@row(10, "model withdrawn mid-job", "lane down; others finish")
def withdrawn(bench):
    sim = start_slow(bench, THREE, RATE)
    bench.wait_answers(bench.prompts * 0.2)
    fault_at = time.time()
    sim.control(pool="bedrock", faults=[{"kind": "missing-model"}])
    stats = bench.finish()
    lost = stats["pools"]["bedrock"]["refused_4xx"]
    bench.note(f"{lost} calls met the missing model")
    check_shift(bench, "bedrock", fault_at)
    note_finish(bench, RATE, "bedrock", fault_at, RUN_SECONDS_MAX)
    bench.expect(lost <= 4 * SLOW, f"{lost} calls to a model that is gone")
    health = {x["pool"]: x["health"] for x in bench.summary["lanes"]}
    bench.expect(health["bedrock"] == "down-model", f"health: {health}")


@row(11, "residency: the only lane is down", "waits, says so, never leaks")
def residency(bench):
    quota = quota_of("vertex", STORM_RPM / 60)
    sim = bench.simulate(
        sim_cloud("vertex", latency="20ms", location="europe-west4",
                  quota=quick(quota)),
        sim_cloud("bedrock", latency="20ms"),
        sim_cloud("openai", latency="20ms"),
    )
    pools = [
        cloud("bedrock", sim, lane_of("bedrock")),
        cloud("openai", sim, lane_of("openai")),
        cloud("vertex", sim, lane_of("vertex", **quota), location="europe-west4", residency=["eu"]),
    ]
    bench.start(pools, residency=["eu"])
    bench.wait_answers(bench.prompts * 0.1)
    sim.control(pool="vertex", faults=[{"kind": "down", "to": "5s"}])
    bench.finish()
    bench.expect({r["spillway"]["pool"] for r in bench.rows} == {"vertex"}, "rows of other pools")
    events = bench.process.events()
    seen = {x["health"] for e in events for x in e["lanes"] if x["pool"] == "vertex"}
    bench.note(f"the lane was {sorted(seen)}")
    bench.expect(len(seen) > 1, "nothing said that the lane was down")


@row(12, "token endpoints down for a minute, tokens valid", "nobody notices", minutes=True)
def token_endpoints(bench):
    """Tokens are due at half of their life. That falls into the fault, which ends before they do:
    the retries 1, 2, 4 and 8 s apart fail, the one after 16 s brings new ones."""
    sim = start_slow(bench, TWO, rate_for(bench, 80, len(TWO)), {"token_lifetime": "80s"})
    bench.wait_answers(1)
    for service, fault in (("google", {"kind": "down"}), ("entra", {"kind": "error", "status": 500})):
        sim.control(service=service, faults=[{**fault, "to": "60s"}])
    began = time.monotonic()
    answered = lambda s: s["answered"]  # noqa: E731
    issued = lambda s: [s["identity"][n]["issued"] for n in ("google", "entra")]  # noqa: E731
    before = issued(sim.stats())
    renewed = lambda s: all(now > then for now, then in zip(issued(s), before))  # noqa: E731
    _, silence = bench.follow(answered, renewed, 85)
    bench.note(f"new tokens {time.monotonic() - began:.0f} s after the fault began; never silent "
               f"for more than {silence:.1f} s")
    bench.expect(silence < SILENCE_SECONDS_MAX, f"nobody answered for {silence:.1f} s")
    stats = bench.finish()
    for service in ("google", "entra"):
        failed = stats["identity"][service]["failed"]
        bench.expect(3 <= failed <= 8, f"{service}: asked {failed} times while it was down")
    bench.expect(stats["refused_auth"] == 0, "a token was sent after its end")


@row(13, "tokens expire, their endpoints are down for a while", "waits; nothing fails")
def credentials(bench):
    sim = start_slow(bench, TWO, RATE, {"token_lifetime": "3s"})
    bench.wait_for(lambda s: all(s["pools"][n]["answered"] for n in TWO), "answers of both")
    for service, fault in (("google", {"kind": "down"}), ("entra", {"kind": "error", "status": 500})):
        sim.control(service=service, faults=[{**fault, "to": "4s"}])  # until the tokens are over
    stats = bench.finish()
    for service in ("google", "entra"):
        counts = stats["identity"][service]
        bench.note(f"{service}: {counts['issued']} tokens, {counts['failed']} times refused one")
        bench.expect(counts["issued"] > 1, f"{service}: no token had to be replaced")
        bench.expect(counts["failed"] > 0, f"{service}: the fault was not met")


@row(14, "budget for a part of the job, then a larger one", "stops within it; goes on")
def budget(bench):
    small, enough = (share * BUDGET_A_PROMPT * bench.prompts for share in (0.2, 1))
    sim = start_slow(bench, THREE, RATE, budget_usd=small)
    code = bench.process.wait(RUN_SECONDS_MAX)
    bench.expect(code == support.STOPPED, f"exit code {code} when the budget was spent")
    stats = sim.stats()
    bench.check_limits(stats)
    first = len(support.read_rows(bench.output))
    spent = bench.summary["cost_usd"]
    bench.note(f"{first} answers for {spent:.4f} of {small:.4f} USD")
    bench.expect(0 < first < bench.prompts, "it did not stop in between")
    bench.expect(first == stats["answered"], f"{stats['answered']} answers, {first} rows")
    bench.expect(spent >= 0.9 * small, "it stopped long before the budget was spent")
    bench.job["budget_usd"] = enough
    bench.run("more", "--budget", enough)
    bench.finish()


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
