"""Members of a fleet as processes: one simulated provider with pools, a configuration that tests
change, and what a user sees of a job."""

import json
import re
import signal
import urllib.error
import urllib.request

from fleet_support import PARTITIONS, FleetCase
from support import ERROR_ROWS, KEY, OK, STOPPED, lane, pool, read_rows, sim_pool, wait_until


class Member:
    """A running `spillway serve`."""

    def __init__(self, process, name):
        self.process, self.name = process, name

    @property
    def log(self):
        return self.process.err

    def wait_log(self, text, seconds=60):
        def said():
            code = self.process.code
            assert code is None or text in self.log, f"{self.name} ended with {code}:\n{self.log}"
            return text in self.log

        wait_until(said, f"{self.name} says: {text}; it said:\n{self.log[-3000:]}", seconds)
        return self

    @property
    def url(self):
        self.wait_log("pages at ")
        return re.search(r"pages at (http://\S+)", self.log).group(1)

    def page(self, path):
        """(status, text) of one of its pages."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.url + path, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def status(self):
        return json.loads(self.page("/status")[1])

    def counter(self, name):
        """The sum of a metric's series."""
        series = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.page("/metrics")[1], re.MULTILINE)
        return sum(map(float, series))

    def owned(self):
        """Partitions it works on."""
        return [p for p in self.status().get("partitions", []) if p["state"] == "active"]

    def wait_owning(self, count=PARTITIONS, seconds=60):
        wait_until(lambda: self.process.code is not None or len(self.owned()) == count,
                   f"{self.name} owns {count} partitions:\n{self.log[-2000:]}", seconds)
        assert self.process.code is None, f"{self.name} ended:\n{self.log}"
        return self

    def stop(self, expect=OK, seconds=60):
        self.process.signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        assert code == expect, f"{self.name} ended with {code}:\n{self.log[-3000:]}"

    def kill(self):
        self.process.kill()


class ServeCase(FleetCase):
    """A fleet with a provider. `sim_pools`: of the simulator; those named in `working` are in the
    configuration."""

    sim_pools = {"main": {}}
    working = ("main",)
    policy = {}  # of the configuration's jobs

    def setUp(self):
        self.sim = None
        self.lanes, self.members = {}, []
        super().setUp()

    def configure(self, working=None, policy=None, member=None, path=None, **kafka):
        if self.sim is None:
            self.sim = self.simulate(
                *(sim_pool(name, **changes) for name, changes in self.sim_pools.items()))
        config = {
            "pools": [self.pool_of(name) for name in working or self.working],
            "job": self.policy if policy is None else policy,
            "kafka": {"brokers": [self.broker.bootstrap], "fleet": self.fleet,
                      "partitions": PARTITIONS, "replication": 1, **kafka},
            "member": {"listen": "127.0.0.1:0", **(member or {})},
        }
        (path or self.config).write_text(json.dumps({k: v for k, v in config.items() if v},
                                                    indent=1))

    def pool_of(self, name):
        """Its place in the configuration; NAME=OTHER works at the simulator's pool OTHER."""
        name, _, there = name.partition("=")
        return pool(self.sim.endpoints[there or name], name,
                    lanes=[lane(**self.lanes.get(name, {}))])

    def run_member(self, name="a", identity=None, state=None, config=None):
        process = self.start(["serve", "-c", config or self.config, "--member", identity or name,
                              "--state", state or self.folder / f"{name}.state"])
        self.addCleanup(self.check_secrets, process)
        self.members.append(Member(process, name))
        return self.members[-1]

    def serve(self, *names):
        """Members that work: their names, or `a`."""
        members = [self.run_member(name) for name in names or "a"]
        for member in members:
            member.wait_log("partitions assigned")
        wait_until(lambda: sum(len(m.owned()) for m in members) == PARTITIONS,
                   "every partition is owned:\n" + "\n".join(m.log[-1000:] for m in members), 60)
        return members if len(members) > 1 else members[0]

    def logs(self):
        """What the members said last, for messages."""
        return "".join(f"\n--- {m.name} ---\n{m.log[-2000:]}" for m in self.members)

    def check_secrets(self, process):
        self.assertNotIn(KEY, process.err)
        self.assertNotIn("[[re:", process.err)

    # ---- a job as its user sees it ----

    def submit(self, path, job, *flags, expect=OK):
        return self.fleet_command("submit", path, "--job", job, *flags, expect=expect)

    def status(self, job):
        return json.loads(self.fleet_command("status", job, "--json").out)

    def wait_status(self, job, condition, what, seconds=60):
        said = {}

        def holds():
            said.update(self.status(job))
            return condition(said)

        try:
            wait_until(holds, what, seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}; status: {said}{self.logs()}") from None
        return said

    def wait_finished(self, job, expect=OK, seconds=75):
        """Follows the job to its end; the last status."""
        watching = self.start(["status", job, "--watch", "--json", "-c", self.config])
        try:
            code = watching.wait(seconds)
        except AssertionError:
            raise AssertionError(
                f"{job} is not finished within {seconds} s: {watching.out[-1500:]}{self.logs()}"
            ) from None
        last = watching.events()[-1] if watching.events() else None
        self.assertEqual(code, expect, f"{watching.err[-2000:]}\n{last}{self.logs()}")
        return last

    def results(self, job, *flags, expect=OK):
        """(answers, error rows) by custom_id; each id stands once."""
        out = self.folder / f"{job}.jsonl"
        self.fleet_command("results", job, "-o", out, "--overwrite", *flags, expect=expect)
        return (self.by_id(read_rows(out)),
                self.by_id(read_rows(self.folder / f"{job}.errors.jsonl")))

    def by_id(self, rows):
        ids = [row["custom_id"] for row in rows]
        self.assertEqual(len(ids), len(set(ids)), "an id has two rows")
        return dict(zip(ids, rows))

    def check_answers(self, answers, ids):
        self.assertEqual(set(answers), set(ids))
        for custom_id, row in answers.items():
            said = row["response"]["body"]["choices"][0]["message"]["content"]
            self.assertIn(f"[[re:{custom_id}]]", said, "someone else's answer")

    def codes(self, errors):
        return {custom_id: row["error"]["code"] for custom_id, row in errors.items()}

    def requests(self, name="main"):
        return self.sim.stats()["pools"][name]["requests"]


__all__ = ["ERROR_ROWS", "Member", "OK", "PARTITIONS", "STOPPED", "ServeCase"]
