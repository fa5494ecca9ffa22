"""Jobs in a fleet from submission to results: members, a real broker, the simulated provider."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from serve_support import ERROR_ROWS, OK, STOPPED, ServeCase
from support import USAGE, prompt, wait_until, write_prompts

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Files(ServeCase):
    def test_submitted_files_come_back_answered_once(self):
        path = self.folder / "in.jsonl"
        ids = write_prompts(path, 1200)
        self.serve("a", "b")
        self.submit(path, "j")
        last = self.wait_finished("j", expect=OK)
        self.assertEqual((last["state"], last["outcome"], last["answered"], last["errors"]),
                         ("finished", "completed", 1200, 0))
        self.assertAlmostEqual(last["cost_usd"], self.sim.stats()["billed_usd"], places=7)
        answers, errors = self.results("j", "--ordered", expect=OK)
        self.check_answers(answers, ids)
        self.assertEqual((list(answers), errors), (ids, {}))
        self.assertEqual(self.sim.stats()["requests"], 1200)
        self.assertIn("j ", self.fleet_command("jobs", expect=OK).out)
        self.fleet_command("errors", "j", expect=OK)
        keys = [m.key().decode() for m in self.consume("results")]
        self.assertEqual(sorted(keys), sorted(f"j/{one}" for one in ids))
        self.submit(path, "j")
        self.assertEqual(self.sim.stats()["requests"], 1200)

    def test_bad_lines_and_lanes_become_error_rows(self):
        path = self.folder / "in.jsonl"
        lines = [json.dumps(prompt("good")), "{broken", ""]
        lines[2] = json.dumps({**prompt("other"), "body": {**prompt("other")["body"],
                                                          "model": "nobody-has-this"}})
        path.write_text("\n".join(lines) + "\n")
        self.serve()
        self.submit(path, "j", "--allow-invalid")
        last = self.wait_finished("j", expect=ERROR_ROWS)
        self.assertEqual((last["answered"], last["errors"], last["invalid"]), (1, 2, 1))
        answers, errors = self.results("j", expect=ERROR_ROWS)
        self.check_answers(answers, ["good"])
        self.assertEqual(self.codes(errors), {None: "invalid_json", "other": "unknown_model"})
        self.assertIn("unknown_model", self.fleet_command("errors", "j", expect=ERROR_ROWS).out)

        write_prompts(path, 5)
        for job, flag, value in (("placed", "--residency", "eu"), ("tied", "--lanes", "elsewhere")):
            self.submit(path, job, flag, value)
            self.wait_finished(job, expect=ERROR_ROWS)
            codes = self.codes(self.results(job, expect=ERROR_ROWS)[1])
            self.assertEqual(set(codes.values()), {"no_eligible_lane"}, job)
            self.assertEqual(len(codes), 5)
        self.assertEqual(self.sim.stats()["requests"], 1)


class Names(ServeCase):
    def test_a_name_is_free_again_after_its_keep(self):
        path = self.folder / "in.jsonl"
        member = self.serve("a")
        for count in (30, 50, 20):
            write_prompts(path, count, prefix=f"of{count}-")
            self.submit(path, "j", "--keep", "5s")
            last = self.wait_finished("j", expect=OK)
            self.assertEqual((last["prompts"], last["answered"], last["errors"]),
                             (count, count, 0), "what the former job came to is forgotten")
            wait_until(lambda: self.fleet_command("status", "j").code == USAGE, "it is gone", 60)
            if count == 50:
                member.stop(expect=OK)
                member = self.serve("a")
        self.assertEqual(self.sim.stats()["requests"], 100)


class Streams(ServeCase):
    def feed_kcat(self, job, lines, *flags):
        kcat = shutil.which("kcat")
        self.assertTrue(kcat, "kcat is missing; deploy/setup.sh --tests installs it")
        subprocess.run([kcat, "-P", "-b", self.broker.bootstrap, "-t", self.topic("shards"),
                        "-q", "-H", f"job={job}", *flags], input="".join(lines), text=True,
                       check=True, env={**os.environ, "KCAT_CONFIG": "/dev/null"}, timeout=60)

    def line(self, custom_id):
        return json.dumps(prompt(custom_id)) + "\n"

    def test_an_open_job_fed_by_any_client(self):
        self.serve("a", "b")
        self.fleet_command("jobs", "open", "stream", expect=OK)
        ids = [f"kc-{i}" for i in range(200)]
        self.feed_kcat("stream", map(self.line, ids))
        self.wait_status("stream", lambda s: s["answered"] == 200, "what kcat sent is answered")
        self.assertEqual(self.status("stream")["state"], "open")

        producer = self.producer()
        for i in range(300):
            producer.produce(self.topic("shards"), self.line(f"py-{i}"), key=f"py-{i}",
                             headers={"job": "stream"})
        producer.produce(self.topic("shards"), self.line("py-7"), key="py-7",
                         headers={"job": "stream"})
        several = [f"many-{i}" for i in range(40)]
        producer.produce(self.topic("shards"), "".join(map(self.line, several)), key="many",
                         headers={"job": "stream"})
        self.assertEqual(producer.flush(30), 0)
        ids += [f"py-{i}" for i in range(300)] + several
        self.wait_status("stream", lambda s: s["answered"] == len(ids) and s["errors"] == 1,
                         "what Python sent is answered")
        self.results("stream", expect=STOPPED)
        self.fleet_command("status", "stream", expect=STOPPED)
        self.fleet_command("jobs", "close", "stream", expect=OK)
        last = self.wait_finished("stream", expect=ERROR_ROWS)
        self.assertEqual((last["answered"], last["errors"], last["outcome"]),
                         (len(ids), 1, "completed"))

        rows = self.consume("results")
        self.assertTrue(all(dict(m.headers())["job"] == b"stream" for m in rows))
        kinds = {kind: [m for m in rows if dict(m.headers())["kind"] == kind]
                 for kind in (b"answered", b"invalid")}
        self.assertEqual(sorted(m.key().decode() for m in kinds[b"answered"]),
                         sorted(f"stream/{i}" for i in ids))
        self.assertEqual(len(rows), len(ids) + 1)
        repeated = kinds[b"invalid"][0]
        row = json.loads(repeated.value())
        self.assertEqual((row["custom_id"], row["error"]["code"]), ("py-7", "duplicate_custom_id"))
        self.assertTrue(repeated.key().startswith(b"stream/@"), repeated.key())
        out = self.folder / "stream.jsonl"
        self.fleet_command("results", "stream", "-o", out, "--overwrite", expect=ERROR_ROWS)
        answered = [json.loads(line)["custom_id"] for line in out.read_text().splitlines()]
        self.assertEqual(sorted(answered), sorted(ids))
        self.assertEqual(self.sim.stats()["requests"], len(ids))

    def test_the_python_of_the_readme(self):
        text = (ROOT / "README.md").read_text()
        code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
        self.assertIn("127.0.0.1:9092", code)
        code = code.replace("127.0.0.1:9092", self.broker.bootstrap).replace(
            "spillway.shards", self.topic("shards"))
        ids = write_prompts(self.folder / "prompts.jsonl", 50)
        self.serve()
        self.fleet_command("jobs", "open", "stream", expect=OK)
        packages = pathlib.Path(self.kafka.__file__).parents[1]
        subprocess.run([sys.executable, "-c", code], cwd=self.folder, check=True, timeout=60,
                       env={**os.environ, "PYTHONPATH": str(packages)})
        self.fleet_command("jobs", "close", "stream", expect=OK)
        self.wait_finished("stream", expect=OK)
        self.check_answers(self.results("stream", expect=OK)[0], ids)

    def test_an_empty_open_job_finishes_when_closed(self):
        self.serve()
        self.fleet_command("jobs", "open", "none", expect=OK)
        self.fleet_command("jobs", "close", "none", expect=OK)
        self.assertEqual(self.wait_finished("none", expect=OK)["prompts"], 0)


if __name__ == "__main__":
    unittest.main()
