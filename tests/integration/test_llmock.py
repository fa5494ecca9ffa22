"""A provider that judges its clients: the PyPI package llmock with real quotas and faults."""

import json
import unittest

from foreign_support import ForeignServer, ask, foreign_packages
from support import ERROR_ROWS, Case, Job, free_ports, lane, pool, prompt, write_prompts

PACKAGE = "llmock==0.2.2"


class JudgingProvider(Case):
    def serve(self, *flags):
        """The provider's base URL."""
        python = foreign_packages.interpreter(PACKAGE)
        self.program = python.parent / "llmock"
        [port] = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        command = [python, self.program, "serve", "--host", "127.0.0.1", "--port", port]
        server = ForeignServer(self, "llmock", [*command, *flags, "--log-level", "warning"])
        server.wait_for(lambda: ask(url + "/v1/models"), "llmock answers")
        self.python, self.url = python, url
        return url

    def job(self, **policy):
        lanes = [lane(quota={"concurrency": 8})]
        return Job(self, [pool(self.url + "/v1", "judge", lanes=lanes)], **policy)

    def verdict(self):
        """What llmock says of us after a run; it ends with 1 when a client misbehaved."""
        judged = ForeignServer(
            self, "report", [self.python, self.program, "report", "--json", "--url", self.url]
        )
        code = judged.process.wait(60)
        said = json.loads(judged.said())
        self.assertEqual(code, 0, json.dumps(said, indent=1)[:4000])
        return said

    def check_answered(self, job, ids):
        rows = job.rows()
        self.assertEqual(sorted(r["custom_id"] for r in rows), sorted(ids))
        self.assertEqual(job.error_rows(), [])
        for row in rows:
            usage = row["response"]["body"]["usage"]
            self.assertEqual(usage["prompt_tokens"], row["spillway"]["input_tokens"])
            self.assertEqual(usage["completion_tokens"], row["spillway"]["output_tokens"])

    def test_errors_that_pass_are_tried_again_and_waited_for(self):
        self.serve("--error-rate", "503=0.1", "--error-rate", "429=0.05", "--error-rate", "500=0.05")
        job = self.job(max_attempts=9)
        ids = write_prompts(job.input, 50)
        job.run()
        self.check_answered(job, ids)
        said = self.verdict()
        self.assertEqual(said["errors"], 0)

    def test_a_real_quota_is_kept_by_what_its_headers_say(self):
        self.serve("--rpm", "600")
        job = self.job()
        ids = write_prompts(job.input, 120)
        process = job.run("--json")
        self.check_answered(job, ids)
        [one] = process.summary()["lanes"]
        self.assertLessEqual(one["refused_429"], 12)
        self.assertEqual(self.verdict()["errors"], 0)

    def test_what_can_never_succeed_is_asked_once(self):
        self.serve("--context-window", "200")
        job = self.job()
        ids = write_prompts(job.input, 10, max_tokens=8)
        big = prompt("big", max_tokens=8)
        big["body"]["messages"][1]["content"] += " and more" * 2000
        with open(job.input, "a", encoding="utf-8") as file:
            file.write(json.dumps(big) + "\n")
        job.run(expect=ERROR_ROWS)
        self.assertEqual(sorted(r["custom_id"] for r in job.rows()), sorted(ids))
        [row] = job.error_rows()
        self.assertEqual(row["custom_id"], "big")
        self.assertEqual(row["error"]["code"], "context_length_exceeded")
        self.assertEqual(row["spillway"]["attempts"], 1)
        self.assertEqual(self.verdict()["errors"], 0)


if __name__ == "__main__":
    unittest.main()
