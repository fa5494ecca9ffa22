"""The local index: lost, damaged, without room."""

import contextlib
import re
import shutil
import subprocess
import time

import kafka_client
import wire
from fleet import wait, write_short_prompts
from table import row

REBUILT = re.compile(r"(?i)index.*rebuil")
NO_ROOM = re.compile(r"(?i)index.*(no space|full|room)")


def _flip(path):
    """One bit in every 64 bytes."""
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 64):
        data[at] ^= 0x10
    path.write_bytes(data)


def _index_files(fleet, kind):
    return [path for path in fleet.state("a").rglob(kind) if path.stat().st_size]


@row(7, "flipped bytes in SST, WAL, MANIFEST", "detected, rebuilt")
def damaged_index(bench):
    fleet = bench.fleet().create().submit().start().wait_sending()
    for number, kind in enumerate(("*.log", "MANIFEST-*", "*.sst")):
        fleet.wait_done(0.1 + 0.2 * number)
        fleet.kill("a")
        for _ in range(3):  # opening a store turns what its WAL holds into a table
            if _index_files(fleet, kind):
                break
            fleet.start("a").wait_sending("a")
            fleet.kill("a")
        damaged = _index_files(fleet, kind)
        bench.expect(damaged, f"there is no {kind} to damage")
        for path in damaged:
            _flip(path)
        fleet.start("a").wait_sending("a")
        bench.expect(REBUILT.search(fleet.members["a"].err), f"a damaged {kind} was not noticed")
    fleet.finish()


@contextlib.contextmanager
def _ballast(folder):
    path = folder / "ballast"
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"b" * 4096):
            pass
    yield
    path.unlink()


@row(8, "index disk full", "pauses, says so, goes on when there is room")
def full_disk(bench):
    fleet = bench.fleet()
    place = fleet.state("a")
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "spillway-test", place], check=True)
    bench.on_end(lambda: subprocess.run(["umount", "-l", place], check=True))
    fleet.create().submit().start().wait_sending().wait_done(0.2)
    member = fleet.members["a"]
    with _ballast(place):
        wait(lambda: NO_ROOM.search(member.err), "it says that its disk is full", 30)
        others = fleet.requests("b")
        still = {"requests": -1, "since": time.monotonic()}

        def quiet():
            now = fleet.requests("a")
            if now != still["requests"]:
                still.update(requests=now, since=time.monotonic())
            return time.monotonic() - still["since"] > 2

        wait(quiet, "a member without room pauses", 30, every=0.1)
        bench.expect(fleet.requests("b") > others, "the others go on")
    fleet.wait_sending("a")
    fleet.finish(bound=0)


def _varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _answer_everything(fleet, job, expected):
    """Writes an answer for every prompt of `job`, as owners would have."""
    brokers, shards, results = fleet.brokers, f"{fleet.name}.shards", f"{fleet.name}.results"
    reader = kafka_client.Reader(brokers, {(shards, p): 0 for p in range(fleet.partitions)})
    producer = kafka_client.Producer(brokers, queue_buffering_max_kbytes=256 << 10)
    name, written = job.encode(), 0
    tail = b"\x22" + _varint(len(name)) + name + b"\x2a\x04main" + b"\x50\x01"
    for record in reader.read_to_end():
        shard = wire.fields(record.value)
        if shard.get(2) != name:
            continue
        for index, line in enumerate(shard[9].splitlines()):
            custom_id = line.split(b'"', 4)[3]
            place = b"\x08" + _varint(record.offset) + b"\x10" + _varint(index)
            facts = b"\x08\x01\x12" + _varint(len(place)) + place + tail
            value = (
                b'{"id":"batch_req_%d","custom_id":"%s","response":{"status_code":200,"body":'
                b'{"choices":[{"message":{"content":"[[re:%s]] done."}}]}},"error":null}'
                % (written, custom_id, custom_id)
            )
            producer.send(
                results,
                value,
                name + b"/" + custom_id,
                record.partition,
                {"job": name, "kind": b"answered", "spillway": facts},
            )
            written += 1
    producer.flush(120)
    producer.close()
    reader.close()
    if written != expected:
        raise AssertionError(f"{written} answers written for {expected} prompts")


@row(6, "SIGKILL and delete RocksDB with 10^6 done", "re-sent <= in flight; sending again <= 10 s")
def lost_index(bench):
    many = 50 * bench.prompts
    fleet = bench.fleet(run_seconds=60).create(observe=False)
    path = bench.folder / "many.jsonl"
    write_short_prompts(path, many)
    fleet.command("submit", path, "--job", "many")
    path.unlink()
    _answer_everything(fleet, "many", many)
    fleet.observe(kafka_client.END).submit().start().wait_sending()
    wait(lambda: len(fleet.watch.snapshots) == fleet.partitions, "a snapshot of each partition", 90)
    fleet.kill("a")
    shutil.rmtree(fleet.state("a"))
    began = time.monotonic()
    fleet.start("a").wait_sending("a")
    took = time.monotonic() - began
    bench.note(f"sending again after {took:.1f} s with {many:,} done")
    bench.expect(took <= 10, f"sending again only after {took:.1f} s")
    fleet.finish()
    bench.expect(bench.outcome.bound <= fleet.concurrency, "the bound is loose")
