"""What the integration tests share: a simulator and runs of the installed binary as processes,
prompt files, and the oracles that compare input, output and the simulator's own counts."""

import contextlib
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.request

BINARY = os.environ.get("SPILLWAY_BIN", "spillway")
MODEL = "gpt-5.4-mini"
KEY = "sim-key-5f2c81d07be94a"  # unmistakable, so that a leak can be searched for
RUN_SECONDS_MAX = 90

OK, ERROR_ROWS, USAGE, STOPPED, STORAGE = range(5)  # exit codes

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For a process just started: it leaves nothing running when the test is killed."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def wait_until(condition, what, seconds=30):
    """Polls until `condition()` is true and returns what it said."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)


class Process:
    """A command of the binary under test; its output goes to files, so that it never blocks."""

    def __init__(self, arguments, folder, name, env=None, preexec=None):
        self.out_path, self.err_path = folder / f"{name}.stdout", folder / f"{name}.stderr"
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "SIM_KEY": KEY,
        }
        for inherited in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH"):
            if inherited in os.environ:
                environment[inherited] = os.environ[inherited]
        environment.update(env or {})

        def before_exec():
            die_with_parent()
            if preexec:
                preexec()

        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(
                [BINARY, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env=environment,
                preexec_fn=before_exec,
            )

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    @property
    def code(self):
        return self.popen.poll()

    def events(self):
        """The events of `--json` so far; the last line may still be under way."""
        lines = self.out.split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def summary(self):
        last = self.events()[-1]
        assert last["event"] == "summary", f"the last event is no summary: {last}"
        return last

    def health(self, pool_name, lane_name=None):
        """How the lanes of a pool were in the events of `--json` so far."""
        return {
            one["health"]
            for event in self.events()
            for one in event["lanes"]
            if one["pool"] == pool_name and lane_name in (None, one["lane"])
        }

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()

    def wait(self, seconds=RUN_SECONDS_MAX):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"no end within {seconds} s; stderr:\n{self.err[-3000:]}"
            ) from None


class Simulator:
    """`spillway simulate` with the given pools, until the test ends."""

    def __init__(self, folder, pools, name="sim", tls=None, seed=1, identity=None):
        self.ready_path = folder / f"{name}.ready.json"
        config = {"listen": "127.0.0.1:0", "seed": seed, "pools": pools}
        if identity:
            config["identity"] = identity
        self.tls = ssl.create_default_context(cafile=tls["ca_file"]) if tls else None
        if tls:
            config["tls"] = {"cert_file": str(tls["cert_file"]), "key_file": str(tls["key_file"])}
        config_path = folder / f"{name}.yaml"
        config_path.write_text(json.dumps(config, indent=1))
        self.started = time.monotonic()
        self.process = Process(
            ["simulate", "-c", config_path, "--ready-file", self.ready_path], folder, name
        )

        def ready():
            assert self.process.code is None, "the simulator ended: " + self.process.err
            return self.ready_path.exists()

        wait_until(ready, "the simulator is ready")
        self.ready = json.loads(self.ready_path.read_text())
        self.url, self.endpoints = self.ready["url"], self.ready["pools"]
        handlers = [urllib.request.ProxyHandler({})]
        if self.tls:
            handlers.append(urllib.request.HTTPSHandler(context=self.tls))
        self._opener = urllib.request.build_opener(*handlers)

    def stats(self):
        with self._opener.open(self.url + "/_sim/stats", timeout=10) as answer:
            return json.load(answer)

    def control(self, **change):
        """Changes faults, keys or identity services from now on."""
        request = urllib.request.Request(
            self.url + "/_sim/control", json.dumps(change).encode(), method="POST"
        )
        with self._opener.open(request, timeout=10) as answer:
            answer.read()

    def release(self, *pools):
        """Ends the pools' faults; calls that were held are answered."""
        for name in pools or ["main"]:
            self.control(pool=name, faults=[])

    def wait_for(self, condition, what, seconds=30):
        return wait_until(lambda: condition(self.stats()), what, seconds)

    def stop(self):
        self.process.kill()


def held(share):
    """Faults that keep a share of the prompts unanswered until `Simulator.release`: what is to
    happen while calls are open happens then, on a machine of any speed."""
    return [{"kind": "hold", "share": share, "by": "prompt"}]


def sim_pool(name="main", provider="openai", **changes):
    pool = {
        "name": name,
        "provider": provider,
        "api_key": KEY,
        "models": [MODEL],
        "latency": "5ms",
        "output_tokens": 20,
        "price": {"input": 0.75, "output": 4.5},
    }
    pool.update(changes)
    return {k: v for k, v in pool.items() if v is not None}


def lane(model=MODEL, **changes):
    value = {
        "model": model,
        "quota": {"concurrency": 16},
        "timeout": "20s",
        "price": {"input": 0.75, "output": 4.5},
        "max_output_tokens": 64,
    }
    value.update(changes)
    return {k: v for k, v in value.items() if v is not None}


def pool(endpoint, name="main", provider="openai", lanes=None, **changes):
    value = {
        "name": name,
        "provider": provider,
        "endpoint": endpoint,
        "auth": {"api_key": "env:SIM_KEY"},
        "lanes": lanes or [lane()],
    }
    value.update(changes)
    return {k: v for k, v in value.items() if v is not None}


@contextlib.contextmanager
def refused_port():
    """A port of this machine where nobody listens, kept from others meanwhile."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


def free_ports(count):
    """For servers that have to be told one: below the range of outgoing connections, or somebody
    could have it by the time the server has started."""
    found = []
    for port in random.sample(range(15000, 32000), 2000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free port")


# ---- prompts ----

_QUESTIONS = None


def questions():
    """Real questions where there are some, else generated ones of skewed lengths."""
    global _QUESTIONS
    if _QUESTIONS is None:
        folder = os.environ.get("SPILLWAY_TEST_DATA", "")
        path = pathlib.Path(folder) / "gsm8k-questions.jsonl"
        if folder and path.exists():
            with open(path, encoding="utf-8") as file:
                _QUESTIONS = [json.loads(line)["question"] for line in file if line.strip()]
        else:
            chance = random.Random(7)
            words = (
                "crates parcels orders each Monday costs plus half of the rest café 3 14 92".split()
            )
            _QUESTIONS = [
                " ".join(
                    chance.choice(words) for _ in range(int(chance.paretovariate(1.2) * 12) % 400)
                )
                + "?"
                for _ in range(1000)
            ]
    return _QUESTIONS


def body_for(custom_id, url="/v1/chat/completions", model=MODEL, number=0, **extra):
    text = f"{questions()[number % len(questions())]} [[id:{custom_id}]]"
    if url == "/v1/chat/completions":
        return {
            "model": model,
            "messages": [
                {"role": "system", "content": "Answer with a number."},
                {"role": "user", "content": text},
            ],
            "max_tokens": 32,
            **extra,
        }
    if url == "/v1/responses":
        return {"model": model, "input": text, "max_output_tokens": 32, **extra}
    return {"model": model, "input": text, **extra}


def prompt(custom_id, url="/v1/chat/completions", number=0, **extra):
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": url,
        "body": body_for(custom_id, url, number=number, **extra),
    }


def write_prompts(path, count, prefix="p", **extra):
    """Writes `count` prompts and returns their ids."""
    ids = [f"{prefix}-{i}" for i in range(count)]
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for i, custom_id in enumerate(ids):
            file.write(json.dumps(prompt(custom_id, number=i, **extra), ensure_ascii=False) + "\n")
    return ids


def read_rows(path):
    if not path.exists():
        return []
    data = path.read_bytes()
    assert not data or data.endswith(b"\n"), f"{path.name} does not end with a whole row"
    return [json.loads(line) for line in data.decode().split("\n")[:-1]]


def answer_text(row):
    """What the model said, whatever the endpoint."""
    body = row["response"]["body"]
    if "choices" in body:
        return body["choices"][0]["message"]["content"]
    return "".join(
        part["text"]
        for item in body["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


class Job:
    """One job in a folder of its own: input, configuration, outputs and how to run it."""

    def __init__(self, case, pools, folder=None, name="job", **policy):
        self.case, self.folder = case, folder or case.folder
        self.input = case.folder / "in.jsonl"
        self.output = self.folder / f"{name}.jsonl"
        self.errors = self.folder / f"{name}.errors.jsonl"
        self.state = self.folder / f"{name}.state"
        self.config = case.folder / f"{name}.pools.yaml"
        self.configure(pools, **policy)

    def configure(self, pools, **policy):
        config = {"pools": pools}
        if policy:
            config["job"] = policy
        self.config.write_text(json.dumps(config, indent=1))

    def start(self, *flags, inputs=None, env=None, preexec=None):
        arguments = ["run", *(inputs or [self.input]), "-o", self.output, "-c", self.config, *flags]
        return self.case.start(arguments, env=env, preexec=preexec)

    def run(self, *flags, expect=OK, seconds=RUN_SECONDS_MAX, **how):
        process = self.start(*flags, **how)
        code = process.wait(seconds)
        self.case.assertEqual(
            code,
            expect,
            f"exit code; stderr:\n{process.err[-3000:]}\n" f"stdout:\n{process.out[-2000:]}",
        )
        return process

    def rows(self):
        return read_rows(self.output)

    def error_rows(self):
        return read_rows(self.errors)

    def status(self):
        return json.loads((self.state / "status.json").read_text())["progress"]


class Case(unittest.TestCase):
    """A test with a folder of its own; everything it started ends with it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="spillway-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self._started = 0

    def start(self, arguments, env=None, preexec=None):
        self._started += 1
        process = Process(arguments, self.folder, f"run{self._started}", env, preexec)
        self.addCleanup(process.kill)
        return process

    def command(self, *arguments, expect=None, env=None, seconds=30):
        process = self.start(arguments, env)
        code = process.wait(seconds)
        if expect is not None:
            self.assertEqual(code, expect, f"exit code; stderr:\n{process.err[-3000:]}")
        return process

    def simulate(self, *pools, **how):
        sim = Simulator(self.folder, list(pools) or [sim_pool()], **how)
        self.addCleanup(sim.stop)
        return sim

    def simple_job(self, count=50, sim_changes=None, lane_changes=None, **policy):
        """One simulated pool, one job with `count` prompts: (simulator, job, ids)."""
        sim = self.simulate(sim_pool(**(sim_changes or {})))
        job = Job(
            self, [pool(sim.endpoints["main"], lanes=[lane(**(lane_changes or {}))])], **policy
        )
        return sim, job, write_prompts(job.input, count)

    # ---- oracles ----

    def check_each_once(self, job, ids, failed=()):
        """Every id has exactly one row, in the right file, and each answer is that prompt's own."""
        rows, errors = job.rows(), job.error_rows()
        answered = [r["custom_id"] for r in rows]
        self.assertEqual(len(answered), len(set(answered)), "an id has two result rows")
        self.assertEqual(set(answered), set(ids) - set(failed), "ids in the results")
        self.assertEqual(
            sorted(r["custom_id"] for r in errors), sorted(failed), "ids in the errors"
        )
        for row in rows:
            self.assertIsNone(row["error"])
            self.assertEqual(row["response"]["status_code"], 200)
            if "data" not in row["response"]["body"]:
                self.assertIn(
                    f"[[re:{row['custom_id']}]]", answer_text(row), "someone else's answer"
                )
        for row in errors:
            self.assertTrue(row["error"]["code"] and row["error"]["message"], row)
        lines = [(r["spillway"]["file"], r["spillway"]["line"]) for r in rows + errors]
        self.assertEqual(len(lines), len(set(lines)), "an input line has two rows")

    def check_money(self, sim, job):
        """Without doubtful calls, what the rows say was spent is what the provider billed."""
        claimed = sum(r["spillway"]["cost_usd"] or 0 for r in job.rows() + job.error_rows())
        self.assertAlmostEqual(claimed, sim.stats()["billed_usd"], places=7)
