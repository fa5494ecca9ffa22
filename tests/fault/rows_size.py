"""Very many prompts, very large ones, many partitions."""

import time

import kafka_client
from fleet import Numbered, wait, write_short_prompts
from table import row

RSS_KB_MAX = 512 << 10


def peak_rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


@row(20, "10^7 queued, quota 0 for 60 s", "RSS <= 512 MB, no rebalance, resumes <= 5 s")
def long_queue(bench):
    """The rest stays in the queue when the row ends: nothing can be said about lost ones."""
    many = 500 * bench.prompts
    closed_s = 60 + 20  # start-up included
    fleet = bench.fleet(
        sim={
            "latency": "10ms",
            "quota": {"rpm": 600_000, "burst": "1s"},
            "faults": [{"kind": "quota", "factor": 0, "from": "0s", "to": f"{closed_s}s"}],
        }
    )
    path = bench.folder / "many.jsonl"
    write_short_prompts(path, many)
    fleet.create_topics()
    began = time.monotonic()
    fleet.command("submit", path, "--job", "many", seconds=600)
    bench.note(f"{many:,} prompts submitted in {time.monotonic() - began:.0f} s")
    path.unlink()
    fleet.keys = Numbered("many", "q", many)
    fleet.simulate()
    opens = fleet.sim.started + closed_s
    fleet.observe().start()
    wait(
        lambda: all(fleet.requests(name) > 0 for name in "abc"), "all own something", closed_s - 60
    )
    known = _settled_sessions(fleet, seconds=3)
    bench.expect(fleet.sim.stats()["answered"] == 0, "the quota was not closed")
    wait(
        lambda: all(fleet.sim.stats()["pools"][name]["answered"] for name in "abc"),
        "all are sending again",
        closed_s + 30,
        every=0.1,
    )
    late = time.monotonic() - opens
    fleet.check_alive()
    peak = max(peak_rss_kb(process.popen.pid) for process in fleet.members.values())
    bench.note(f"resumed after {max(late, 0):.1f} s, peak RSS {peak >> 10} MB")
    bench.expect(late <= 5, f"resumed only after {late:.1f} s")
    bench.expect(peak <= RSS_KB_MAX, f"peak RSS {peak >> 10} MB")
    fleet.wait_done(count=1000)
    moved = [
        p for p, found in fleet.watch.sessions().items() if len(found) > len(known.get(p, [""]))
    ]
    bench.expect(not moved, f"a rebalance moved partitions {moved}")
    fleet.finish(bound=0, complete=False)


def _settled_sessions(fleet, seconds):
    """Of each partition, once no member has joined the others for so long."""
    last = {"sessions": None, "at": 0.0}

    def settled():
        sessions = fleet.watch.sessions()
        if sessions != last["sessions"]:
            last.update(sessions=sessions, at=time.monotonic())
        return time.monotonic() - last["at"] > seconds

    wait(settled, "partitions stay where they are", 30, every=0.1)
    return last["sessions"]


@row(22, "1 MB broker limit, 16 MB prompts and answers, killed between chunks", "each exactly once")
def large_records(bench):
    """An answer is n choices of 100,000 words each; a prompt is filled up to just below 16 MiB."""
    large, small = 4 if bench.quick else 8, bench.prompts // 20
    fleet = bench.fleet(
        sim={"latency": "50ms", "output_tokens": 100_000},
        lane={"timeout": "60s", "max_output_tokens": 200_000},
    ).create()
    paths, ids = fleet.prompts(small)
    big, big_ids = fleet.prompts(large, "big", "x" * 15_900_000, n=32, max_tokens=200_000)
    paths = big + paths
    submitting = fleet.process(
        ["submit", *paths, "--job", "job", "-c", fleet.configure()], "submit"
    )
    admin = kafka_client.Admin(fleet.brokers)
    wait(
        lambda: sum(admin.watermarks(f"{fleet.name}.shards", p)[1] for p in range(8)) > 8
        or submitting.code is not None,
        "chunks of shards",
        every=0.001,
    )
    admin.close()
    bench.expect(submitting.code is None, "the submission ended before it could be killed")
    submitting.kill()
    fleet.submit(paths, big_ids + ids)
    fleet.start()
    for seen in (2, 60):
        wait(lambda: fleet.watch.chunks_seen > seen, "chunks of results", every=0.001)
        fleet.kill("a", "b", "c")
        fleet.start()
    fleet.finish()
    bench.note(f"{large} large prompts, {fleet.watch.chunks_seen} chunks")


@row(23, "64 partitions, members 4 -> 1", "all progress; idle afterwards: no transactions")
def many_partitions(bench):
    fleet = bench.fleet(members="abcd", partitions=64, concurrency=128).create()
    fleet.submit().start().wait_sending()
    for number, name in enumerate("bcd"):
        fleet.wait_done(0.2 + 0.15 * number)
        if name == "c":
            fleet.kill(name)
        else:
            fleet.stop(name)
    fleet.wait_done()
    admin = kafka_client.Admin(fleet.brokers)
    quiet = {"end": -1, "since": 0.0}

    def idle(seconds):
        end = admin.watermarks("__transaction_state", 0)[1]
        if end != quiet["end"]:
            quiet.update(end=end, since=time.monotonic())
        return time.monotonic() - quiet["since"] > seconds

    # The last work is still to be in a snapshot, within 30 s, and that is a transaction of each
    # partition. After it nothing may follow, for longer than the time between snapshots.
    wait(lambda: idle(40), "40 s without a transaction", 100, every=0.1)
    admin.close()
    fleet.finish()
