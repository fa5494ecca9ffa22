"""Members that die, freeze, come and go."""

import time

from fleet import wait
from table import row

# Where a prompt's call may have been made and its answer is nowhere yet.
IN_DOUBT_POINTS = ("intent_acked", "before_send", "sent", "answered")
SETTLED_POINTS = (
    "received",
    "result_acked",
    "before_commit",
    "committed",
    "read_back",
    "index_written",
    "watermark",
)


def _last_sessions(fleet):
    return {p: list(found)[-1] for p, found in fleet.watch.sessions().items()}


def _wait_taken_over(fleet, before):
    wait(
        lambda: any(before.get(p) != s for p, s in _last_sessions(fleet).items()),
        "another member takes over",
        20,
    )


@row(1, "8 random SIGKILLs", "re-sent <= in flight at each kill", ci=True)
def random_kills(bench):
    fleet = bench.fleet().create().submit().start().wait_sending()
    for number in range(8):
        fleet.wait_done(0.05 + number * 0.1)
        victim = bench.chance.choice(sorted(fleet.members))
        before = _last_sessions(fleet)
        fleet.kill(victim)
        if number % 3 == 2:  # the others take over; else it is back before they notice
            _wait_taken_over(fleet, before)
        fleet.start(victim)
    # By chance a prompt can be in flight at three of the deaths: then nobody can tell it from one
    # that kills its owners, and the rule of row 11 holds for it.
    fleet.wait_done()
    fleet.watch.catch_up()
    unlucky = fleet.watch.quarantined()
    fleet.finish(failed=len(unlucky))
    bench.expect(all(n >= 3 for n in unlucky.values()), f"quarantined too early: {unlucky}")
    bench.expect(len(unlucky) <= 8 - 2, "each kill from the third on has one at most")
    if unlucky:
        bench.note(f"{len(unlucky)} were in flight at three deaths")
    bench.expect(bench.outcome.bound <= 8 * fleet.concurrency, "the bound is loose")


@row(
    2,
    "SIGKILL at every failpoint of a prompt's life",
    "re-sent > 0 only between intent and result ack",
)
def failpoints(bench):
    """One prompt at a time in one partition: what is re-sent was in flight at that very point."""
    fleet = bench.fleet(partitions=1, concurrency=1, sim={"latency": "5ms"}).create()
    resent, counted = {}, [0]

    def submit(name):
        paths, ids = fleet.prompts(1, name)
        fleet.submit(paths, ids, name)

    def end_of(point):
        fleet.wait_done().wait_quiet()
        resent[point] = fleet.sim.stats()["repeated_ids"] - counted[0]
        counted[0] += resent[point]

    fleet.start("a")
    submit("first")
    fleet.wait_done().start("b", "c").kill("a")
    last = "first"
    for point in (*SETTLED_POINTS, *IN_DOUBT_POINTS):
        # Taking over passes some points, too: only what comes once all is quiet counts.
        live = bench.folder / f"{point}.live"
        # The index is due at once after a quiet time, and then again when the answer is stored.
        passes = 2 if point == "index_written" else 1
        fleet.start("a", env={"SPILLWAY_FAILPOINT": f"{point}:{passes}@{live}"})
        end_of(last)
        live.touch()
        submit(point)
        fleet.died("a")
        last = point
    fleet.start("a")
    end_of(last)
    early = {point: n for point, n in resent.items() if n > (point in IN_DOUBT_POINTS)}
    bench.expect(not early, f"re-sent outside of intent to result ack: {early}")
    fleet.finish(bound=len(IN_DOUBT_POINTS))
    bench.note(f"{len(SETTLED_POINTS)} + {len(IN_DOUBT_POINTS)} points, re-sent {resent}")


@row(3, "SIGSTOP 8 s, CONT (zombie)", "re-sent <= in flight; no send after the fence", ci=True)
def zombie(bench):
    fleet = bench.fleet().create().submit().start().wait_sending().wait_done(0.1)
    before, began = _last_sessions(fleet), time.monotonic()
    fleet.pause("a")
    _wait_taken_over(fleet, before)
    wait(lambda: time.monotonic() > began + 8, "8 s")
    known = {p: set(found) for p, found in fleet.watch.sessions().items()}
    asleep = fleet.requests("a")
    fleet.go_on("a")
    samples = []

    def back():
        samples.append((fleet.requests("a"), time.time() * 1000))
        return samples[-1][0] > asleep

    wait(back, "the zombie works again", 40, every=0.005)
    fleet.watch.catch_up()
    retaken = min(
        ms
        for p, found in fleet.watch.sessions().items()
        for s, ms in found.items()
        if s not in known.get(p, ())
    )
    early = [n for n, ms in samples if ms < retaken and n > asleep]
    bench.expect(not early, "the zombie sent before it owned a partition again")
    fleet.finish()
    bench.expect(bench.outcome.bound <= fleet.concurrency, "the bound is loose")


@row(4, "rolling SIGTERM restart", "re-sent 0", ci=True)
def rolling_restart(bench):
    fleet = bench.fleet().create().submit().start().wait_sending()
    for number, name in enumerate("abc"):
        fleet.wait_done(0.1 + 0.15 * number)
        fleet.stop(name)
        fleet.start(name).wait_sending(name)
    bench.expect(fleet.watch.done < len(fleet.keys), "the work ended before the restarts did")
    fleet.finish(bound=0)


@row(5, "scale 1 -> 3 -> 1 under load", "re-sent 0")
def scaling(bench):
    fleet = bench.fleet().create().submit().start("a").wait_sending().wait_done(0.1)
    fleet.start("b", "c").wait_sending("b", "c").wait_done(0.5)
    fleet.stop("b", "c")
    bench.expect(fleet.watch.done < len(fleet.keys), "the work ended before the fleet shrank")
    fleet.finish(bound=0)
    bench.expect(fleet.watch.late_records > 0, "no answer came through `late`")


@row(9, "5 SIGKILLs during take-over", "re-sent <= first in flight", ci=True)
def kills_in_take_over(bench):
    fleet = bench.fleet().create().submit().start().wait_sending().wait_done(0.2)
    fleet.kill("a")
    points = ("fenced", "journal", "results", "recovered", "fenced")
    for point in points:
        fleet.start("a", env={"SPILLWAY_FAILPOINT": f"take_over_{point}:1"})
        fleet.died("a")
    fleet.start("a").wait_sending("a")
    fleet.finish()
    bench.expect(bench.outcome.bound <= fleet.concurrency, "more than the first in flight")


@row(10, "the same identity started twice", "older one fenced, exits clearly")
def twice(bench):
    fleet = bench.fleet().create().submit().start().wait_sending().wait_done(0.1)
    fleet.start("a2", identity="a")
    older = fleet.died("a")
    bench.expect(older.code > 0, f"the older one ended with {older.code}")
    bench.expect(
        "another" in older.err and "a" in older.err, f"it does not say why: {older.err[-300:]}"
    )
    fleet.wait_sending("a2")
    fleet.finish()
    bench.expect(bench.outcome.bound <= fleet.concurrency, "the bound is loose")


@row(11, "a prompt that crashes its owner", "quarantined after 3, the rest completes", ci=True)
def poison(bench):
    text = "POISON-7f3a"
    fleet = bench.fleet().create()
    paths, ids = fleet.prompts()
    bad, bad_ids = fleet.prompts(1, "bad", text)
    env, deaths = {"SPILLWAY_POISON": text}, 0
    fleet.submit(paths + bad, ids + bad_ids).start(env=env)
    while fleet.watch.done < len(fleet.keys):
        dead = wait(
            lambda: [n for n, p in fleet.members.items() if p.code is not None]
            or fleet.watch.done == len(fleet.keys),
            "progress",
            60,
        )
        for name in dead if isinstance(dead, list) else []:
            deaths += 1
            fleet.died(name)
            fleet.start(name, env=env)
    fleet.finish(failed=1)
    codes = dict(fleet.watch.error_codes())
    bench.expect(codes == {"quarantined": 1}, f"error rows: {codes}")
    bench.expect(deaths == 3, f"{deaths} owners died")
