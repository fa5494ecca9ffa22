"""A fleet under test: members as processes, their provider, their topics, and the oracle that says
what became of the prompts."""

import dataclasses
import json
import pathlib
import random
import signal
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "integration")]

import kafka_client  # noqa: E402
import support  # noqa: E402
from fleet_watch import Watch  # noqa: E402

TOPICS = ("jobs", "shards", "results", "journal", "late", "ctl", "progress", "dead")
WAIT_SECONDS_MAX = 150


def wait(condition, what, seconds=WAIT_SECONDS_MAX, every=0.02):
    """Polls until `condition()` is true and returns what it said."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)
    return value


class Numbered:
    """The keys `<job>/<prefix>-<number>` below a count, without holding millions of them."""

    def __init__(self, job, prefix, count):
        self._stem, self._count = f"{job}/{prefix}-", count

    def __len__(self):
        return self._count

    def __contains__(self, key):
        number = key[len(self._stem) :]
        return key.startswith(self._stem) and number.isdigit() and int(number) < self._count


def write_short_prompts(path, count, prefix="q", max_tokens=8):
    """Many prompts of about 150 bytes, quickly."""
    line = (
        '{"custom_id":"%s-%d","method":"POST","url":"/v1/chat/completions","body":{"model":"'
        + support.MODEL
        + '","max_tokens":%d,"messages":[{"role":"user","content":"[[id:%s-%d]]"}]}}'
    )
    with open(path, "w", encoding="utf-8") as file:
        for first in range(0, count, 10_000):
            numbers = range(first, min(first + 10_000, count))
            file.write("\n".join(line % (prefix, i, max_tokens, prefix, i) for i in numbers) + "\n")


def _given(value, stats):
    return value(stats) if callable(value) else value


@dataclasses.dataclass
class Outcome:
    """What a row found. `problems` empty = passed."""

    lost: int = 0
    duplicates: int = 0
    resent: int = 0
    bound: int = 0
    seconds: float = 0
    problems: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)

    def expect(self, condition, what):
        if not condition:
            self.problems.append(what)

    def note(self, what):
        self.notes.append(what)


class Bench:
    """What a row gets: a broker, a folder, a number of prompts, chance by seed, and its outcome."""

    def __init__(self, number, broker, folder, prompts, quick=False, seed=1):
        self.number, self.broker, self.folder, self.prompts = number, broker, folder, prompts
        self.quick = quick
        self.chance = random.Random(seed * 1000 + number)
        self.outcome = Outcome()
        self.expect, self.note = self.outcome.expect, self.outcome.note
        self._cleanup = []

    def on_end(self, action):
        self._cleanup.append(action)

    def fleet(self, **how):
        made = Fleet(self, f"r{self.number}-{int(time.time() * 1000) % 10**8}", **how)
        self.on_end(made.close)
        return made

    def close(self):
        while self._cleanup:
            try:
                self._cleanup.pop()()
            except Exception as failure:
                self.note(f"clean-up: {failure}")


class Fleet:
    """Members start with `start`; each has a simulated pool of its own under the one pool name that
    the fleet knows, so that the simulator's counts tell who sent. `shared_pools` replaces that."""

    def __init__(
        self,
        bench,
        name,
        members="abc",
        partitions=8,
        concurrency=64,
        run_seconds=25,
        sim=None,
        lane=None,
        job=None,
        properties=None,
        brokers=None,
        shared_pools=None,
        journal=True,
        replication=1,
    ):
        """`run_seconds`: how long the bench's prompts keep the fleet busy; it sets the latency."""
        self.bench, self.name, self.partitions = bench, name, partitions
        self.folder, self.names = bench.folder, list(members)
        self.brokers = brokers or bench.broker.bootstrap
        self.concurrency, self._lane = concurrency, dict(lane or {})
        self._job, self._replication = job or {}, replication
        self._properties = {key: str(value) for key, value in (properties or {}).items()}
        busy_ms = 1000 * run_seconds * (0.5 if bench.quick else 1)
        latency_ms = max(1, int(busy_ms * concurrency / bench.prompts))
        self._sim_changes = {"latency": {"median": f"{latency_ms}ms", "sigma": 0.2}, **(sim or {})}
        self._shared, self._journal = shared_pools, journal
        self.members, self._started, self._closing = {}, [], []
        self.keys, self.watch, self.sim = set(), None, None

    # ---- set-up ----

    def simulate(self):
        """Starts the provider; times of its faults count from here."""
        pools = self._shared or [
            support.sim_pool(name, **self._sim_changes)
            for name in [*self.names, *(n + "2" for n in self.names)]
        ]
        self.sim = support.Simulator(self.folder, pools, name=f"{self.name}-sim")
        self._closing.append(self.sim.stop)

    def pools(self, member):
        """What the configuration of a member says about pools."""
        lane = support.lane(**{"quota": {"concurrency": self.concurrency}, **self._lane})
        if self._shared:
            return [
                support.pool(self.sim.endpoints[p["name"]], p["name"], p["provider"], lanes=[lane])
                for p in self._shared
            ]
        endpoint = self.sim.endpoints[member] if self.sim else "http://127.0.0.1:9/v1"
        return [support.pool(endpoint, lanes=[lane])]

    def configure(self, member="a"):
        """Writes the member's configuration; returns its path."""
        identity = self.state(member)
        config = {
            "pools": self.pools(member),
            "job": self._job,
            "kafka": {
                "brokers": [self.brokers],
                "fleet": self.name,
                "partitions": self.partitions,
                "replication": self._replication,
                "properties": self._properties,
            },
            "member": {"state": str(identity), "listen": "127.0.0.1:0"},
        }
        path = self.folder / f"{self.name}-{member}.yaml"
        whole = path.with_suffix(".new")  # a member may be reading it
        whole.write_text(json.dumps({k: v for k, v in config.items() if v}, indent=1))
        whole.replace(path)
        return path

    def state(self, member):
        return self.folder / f"{self.name}-{member}.state"

    def command(self, *arguments, expect=0, seconds=WAIT_SECONDS_MAX):
        process = self.process([*arguments, "-c", self.configure()], arguments[0])
        code = process.wait(seconds)
        if expect is not None and code != expect:
            raise AssertionError(f"`{arguments[0]}` ended with {code}: {process.err[-2000:]}")
        return process

    def create(self, observe=True):
        """Provider, topics, and the watch over them."""
        if not self.sim:
            self.simulate()
        self.create_topics()
        return self.observe() if observe else self

    def create_topics(self):
        self.command("topics", "create")
        self._closing.append(self._delete_topics)

    def observe(self, start=kafka_client.BEGINNING):
        self.watch = Watch(self.brokers, self.name, self.partitions, start, self._journal)
        self._closing.append(self.watch.stop)
        return self

    def prompts(self, count=None, prefix="p", text="", **extra):
        """Files of prompts, each with `text` in its question, and their ids. A shard holds lines of
        one file: several files give each partition something to do."""
        count = count or self.bench.prompts
        ids = [f"{prefix}-{number}" for number in range(count)]
        a_file = max(1, -(-count // (4 * self.partitions)))
        paths = []
        for first in range(0, count, a_file):
            paths.append(self.folder / f"{prefix}-{len(paths)}.jsonl")
            with open(paths[-1], "w", encoding="utf-8") as file:
                for number in range(first, min(first + a_file, count)):
                    line = support.prompt(ids[number], number=number, **extra)
                    line["body"]["messages"][1]["content"] += text
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return paths, ids

    def submit(self, paths=None, ids=None, job="job", flags=()):
        if paths is None:
            paths, ids = self.prompts()
        self.command("submit", *paths, "--job", job, *flags)
        self.keys.update(f"{job}/{one}" for one in ids)
        return self

    # ---- members ----

    def start(self, *names, env=None, identity=None):
        """Starts members that are down. `identity`: what it calls itself, when not its name."""
        for name in names or self.names:
            process = self.process(
                ["serve", "-c", self.configure(name), "--member", identity or name], name, env
            )
            self.members[name] = process
        return self

    def process(self, arguments, name, env=None):
        """Any command of the binary; it ends with the fleet."""
        process = support.Process(
            arguments, self.folder, f"{self.name}-{name}-{len(self._started)}", env
        )
        self._started.append(process)
        return process

    def kill(self, *names):
        for name in names:
            self.members.pop(name).kill()

    def pause(self, name):
        self.members[name].signal(signal.SIGSTOP)

    def go_on(self, name):
        self.members[name].signal(signal.SIGCONT)

    def stop(self, *names, seconds=60):
        """A clean end; its exit code is checked."""
        processes = {name: self.members.pop(name) for name in names}
        for process in processes.values():
            process.signal(signal.SIGTERM)
        for name, process in processes.items():
            code = process.wait(seconds)
            self.bench.expect(
                code == 0, f"{name} ended with {code} after SIGTERM: {process.err[-500:]}"
            )

    def died(self, name):
        """Waits for a member to end by itself; returns its process."""
        process = self.members[name]
        wait(lambda: process.code is not None, f"the end of {name}", 60)
        return self.members.pop(name)

    def check_alive(self):
        for name, process in self.members.items():
            if process.code is not None:
                raise AssertionError(f"{name} ended with {process.code}: {process.err[-2000:]}")

    # ---- observation ----

    def requests(self, name):
        return self.sim.stats()["pools"][name]["requests"]

    def wait_sending(self, *names, more=1, seconds=60):
        """Each of these members has sent again since now."""
        before = {name: self.requests(name) for name in names or self.members}

        def sending():
            self.check_alive()
            pools = self.sim.stats()["pools"]
            return all(pools[name]["requests"] >= n + more for name, n in before.items())

        wait(sending, f"{sorted(before)} are sending", seconds)
        return self

    def wait_done(self, share=1.0, count=None, seconds=WAIT_SECONDS_MAX):
        wanted = int(len(self.keys) * share) if count is None else count

        def enough():
            self.check_alive()
            return self.watch.done >= wanted

        wait(enough, f"{wanted} rows; there are {self.watch.done}", seconds)
        return self

    def wait_quiet(self, seconds=1.5):
        """Nothing was written to journal, results and `late` for so long."""
        last = {"seen": -1, "since": 0.0}

        def quiet():
            if self.watch.taken != last["seen"]:
                last.update(seen=self.watch.taken, since=time.monotonic())
            return time.monotonic() - last["since"] > seconds

        wait(quiet, "the fleet comes to rest", 60)
        return self

    # ---- the end ----

    def finish(self, bound=None, complete=True, failed=0, seconds=WAIT_SECONDS_MAX):
        """Lets the fleet end its work and checks what must always hold. `bound`: of calls made
        twice; by default what was in flight when owners died. `failed`: error rows expected. Both
        may be functions of the simulator's counts."""
        if complete:
            self.wait_done(seconds=seconds)
        self.stop(*list(self.members))
        return self.judge(bound, complete, failed)

    def judge(self, bound=None, complete=True, failed=0):
        self.watch.catch_up()
        out, watch, stats = self.bench.outcome, self.watch, self.sim.stats()
        lost = watch.lost(self.keys) if complete else []
        duplicates, surplus = watch.duplicates(), watch.surplus(self.keys)
        out.lost, out.duplicates = len(lost), len(duplicates)
        out.resent = stats["repeated_ids"]
        out.bound = watch.in_flight_at_deaths() if bound is None else _given(bound, stats)
        out.expect(not lost, f"lost: {lost[:5]}")
        out.expect(not duplicates, f"duplicate: {duplicates[:5]}")
        out.expect(not surplus, f"rows of nobody's prompts: {surplus[:5]}")
        out.expect(not watch.wrong, f"rows with another prompt's answer: {watch.wrong[:5]}")
        out.expect(out.resent <= out.bound, f"re-sent {out.resent} > {out.bound}")
        if self._journal and watch.missed:
            self.bench.note(f"journals trimmed unread, calls not compared: {len(watch.missed)}")
        elif self._journal:
            intents = watch.intents()
            out.expect(
                stats["requests"] <= intents, f"{stats['requests']} calls, but {intents} intents"
            )
        errors = watch.error_codes()
        wanted = _given(failed, stats)
        out.expect(sum(errors.values()) == wanted, f"error rows: {dict(errors)}, expected {wanted}")
        return stats

    def _delete_topics(self):
        admin = kafka_client.Admin(self.brokers)
        admin.delete_topics([f"{self.name}.{topic}" for topic in TOPICS])
        admin.close()

    def close(self):
        for process in self._started:
            process.kill()
        while self._closing:
            self._closing.pop()()
