"""Providers that refuse, hang and break off; budgets that run out."""

import time

import support
from fleet import wait
from table import row


@row(16, "429 storm on all lanes", ">= 90% of quota used, attempts unspent")
def storm(bench):
    """The pools grant what keeps them busy for 20 s; the fleet does not know it and asks for more."""
    rpm = int(bench.prompts / 2 / (20 * (0.5 if bench.quick else 1)) * 60)
    pools = [
        support.sim_pool(name, quota={"rpm": rpm, "burst": "1s"}, latency="20ms")
        for name in ("east", "west")
    ]
    fleet = bench.fleet(
        shared_pools=pools, lane={"quota": {"concurrency": 64}}, job={"max_attempts": 1}
    ).create()
    fleet.submit().start()
    marks = []

    def reached(share):
        answered = fleet.sim.stats()["answered"]
        if answered < share * bench.prompts:
            return False
        marks.append((answered, time.monotonic()))
        return True

    wait(lambda: reached(0.1), "a tenth is answered")
    wait(lambda: reached(0.9), "nine tenths are answered")
    (first, began), (last, ended) = marks
    used = (last - first) / (2 * rpm / 60 * (ended - began))
    stats = fleet.finish(bound=0)
    refused = stats["refused_429"] / stats["requests"]
    bench.note(f"{used:.1%} of the quota used, {refused:.1%} of calls refused")
    bench.expect(used >= 0.9, f"only {used:.1%} of the quota was used")
    bench.expect(stats["refused_429"] > 0, "there was no storm")


@row(17, "provider accepts and hangs", "re-sent <= hung")
def hanging(bench):
    fleet = bench.fleet(
        sim={"faults": [{"kind": "hang", "share": 0.005}]},
        lane={"timeout": "3s"},
        job={"max_attempts": 20},
        run_seconds=15,
    )
    fleet.create().submit().start()
    stats = fleet.finish(bound=lambda stats: stats["dropped"])
    bench.expect(stats["dropped"] > 0, "nothing hung")


@row(18, "answer cut mid-body, policy `hold`", "re-sent 0, all reported")
def cut_and_held(bench):
    fleet = bench.fleet(
        sim={"faults": [{"kind": "reset", "share": 0.01}]}, job={"in_doubt": "hold"}, run_seconds=10
    )
    fleet.create().submit().start()
    stats = fleet.finish(bound=0, failed=lambda stats: stats["dropped"])
    codes = dict(fleet.watch.error_codes())
    bench.expect(set(codes) == {"in_doubt"}, f"error rows: {codes}")
    bench.note(f"{stats['dropped']} cut, {codes.get('in_doubt', 0)} reported")


@row(19, "members killed and added while a budget runs out", "spend <= cap")
def budget(bench):
    """Half of the prompts can be paid; nothing is lost: the rest waits without rows."""
    price = {"input": 0.75, "output": 4.5}
    worth = 165e-6  # of a prompt, about
    cap = round(bench.prompts * worth / 2, 4)
    fleet = bench.fleet(lane={"price": price}, job={"budget_usd": cap}).create()
    fleet.submit().start("a", "b").wait_sending()

    def spent(share):
        wait(lambda: fleet.sim.stats()["billed_usd"] >= share * cap, f"{share:.0%} of the budget")

    spent(0.2)
    fleet.kill("a")
    fleet.start("c")
    spent(0.4)
    fleet.kill("b")
    fleet.start("a", "b")
    spent(0.6)
    fleet.kill("c")
    fleet.start("c")
    last = {"requests": -1, "at": 0.0}

    def quiet():
        fleet.check_alive()
        stats = fleet.sim.stats()
        if stats["requests"] != last["requests"] or stats["in_flight"]:
            last.update(requests=stats["requests"], at=time.monotonic())
        return time.monotonic() - last["at"] > 9  # longer than a fail-over

    wait(quiet, "the budget is spent", every=0.1)
    stats = fleet.finish(complete=False)
    used = stats["billed_usd"] / cap
    bench.note(f"{used:.1%} of the budget spent, {fleet.watch.done:,} rows")
    bench.expect(used <= 1 + 1e-9, f"spent ${stats['billed_usd']:.4f} of ${cap:.4f}")
    bench.expect(used > 0.8, f"only {used:.1%} of the budget was spent")
    unpaid = stats["distinct_ids"] - fleet.watch.done  # in doubt, and too dear to be sent again
    bench.expect(unpaid <= bench.outcome.bound, f"{unpaid} prompts were sent and have no row")
