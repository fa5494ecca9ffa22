"""Wrong configurations: each message names line and key; nothing is sent or created."""

import unittest

from support import OK, USAGE, Case, pool, write_prompts

GOOD = """\
pools:
  - name: main
    provider: openai
    endpoint: http://127.0.0.1:9/main/v1
    auth: { api_key: env:SIM_KEY }
    lanes:
      - model: gpt-5.4-mini
        quota: { rpm: 600, tpm: 1000000, concurrency: 20 }
        price: { input: 0.75, output: 4.5 }
        max_output_tokens: 64
        timeout: 20s
job:
  order: cost
"""

# (text of GOOD, what stands there instead, expected "line: key" and words of the message)
PROBLEMS = [
    ("provider: openai", "provider: opanai", "3: ", ["provider", "opanai", "openai-compatible"]),
    ("provider: openai", "provider: bedrock", "5: ", ["auth.api_key", "bedrock"]),
    ("    provider: openai\n", "", "2: ", ["provider", "missing"]),
    ("name: main", "name: my pool", "2: ", ["name"]),
    ("endpoint: http://127.0.0.1:9/main/v1", "endpoint: ftp://x/v1", "4: ", ["endpoint", "http"]),
    (
        "endpoint: http://127.0.0.1:9/main/v1",
        "endpoint: http://example.com/v1",
        "4: ",
        ["endpoint", "https"],
    ),
    (
        "endpoint: http://127.0.0.1:9/main/v1",
        "endpoint: http://10.1.2.3:8000/v1",
        "4: ",
        ["endpoint", "https"],
    ),
    (
        "endpoint: http://127.0.0.1:9/main/v1",
        "endpoint: http://localhost.example.com/v1",
        "4: ",
        ["endpoint", "https"],
    ),
    (
        "api_key: env:SIM_KEY",
        "api_key: sk-abcdef123456",
        "5: ",
        ["api_key", "env:NAME", "file:PATH"],
    ),
    ("    auth: { api_key: env:SIM_KEY }\n", "", "2: ", ["auth", "missing"]),
    ("api_key:", "aws:", "5: ", ["aws"]),
    ("    lanes:\n", "    lines:\n", "6: ", ["lines"]),
    ("- model: gpt-5.4-mini", "- modell: gpt-5.4-mini", "7: ", ["modell"]),
    ("rpm: 600", "rpm: many", "8: ", ["rpm", "many"]),
    ("rpm: 600", "rpm: 0", "8: ", ["rpm", "0"]),
    ("rpm: 600", "rpms: 600", "8: ", ["rpms"]),
    ("rpm: 600", "headroom: 1.5", "8: ", ["headroom", "1.5"]),
    ("input: 0.75", "input: -1", "9: ", ["input", "-1"]),
    ("input: 0.75, ", "", "9: ", ["input", "missing"]),
    ("timeout: 20s", "timeout: 20 parsecs", "11: ", ["timeout", "parsecs"]),
    ("timeout: 20s", "tier: batch", "11: ", ["tier", "batch"]),
    ("timeout: 20s", "tls: {}", "11: ", ["tls"]),
    ("order: cost", "order: cheapest", "13: ", ["order", "cheapest"]),
    ("order: cost", "deadline: 24h", "13: ", ["deadline"]),
    ("order: cost", "budget_usd: lots", "13: ", ["budget_usd", "lots"]),
    ("order: cost", "residency: []", "13: ", ["residency"]),
    ("order: cost", "in_doubt: query", "13: ", ["in_doubt", "query"]),
    ("order: cost", "max_attempts: 0", "13: ", ["max_attempts"]),
    ("order: cost", "max_error_rate: 20%", "13: ", ["max_error_rate"]),
    ("order: cost", "order: cost\n  order: cost", "14: ", ["order"]),
    ("job:", "jobs:", "12: ", ["jobs"]),
    ("job:\n  order: cost", "kafka:\n  brokers: []", "13: ", ["kafka.brokers"]),
    ("rpm: 600", "rpm: [", "", ["pools.yaml:"]),
    ("job:", "\tjob:", "12: ", []),
]


class WrongConfiguration(Case):
    def setUp(self):
        super().setUp()
        self.input, self.config = self.folder / "in.jsonl", self.folder / "pools.yaml"
        write_prompts(self.input, 2)

    def refuse(self, text, *flags, env=None):
        self.config.write_text(text)
        process = self.command(
            "run",
            self.input,
            "-o",
            self.folder / "out.jsonl",
            "-c",
            self.config,
            *flags,
            expect=USAGE,
            env=env,
        )
        left = [p.name for p in self.folder.iterdir() if p.name.startswith("out")]
        self.assertEqual(left, [], "nothing is created")
        return process.err

    def test_every_problem_is_told_with_line_and_key(self):
        for old, new, line, words in PROBLEMS:
            with self.subTest(new or "without " + old):
                self.assertIn(old, GOOD)
                error = self.refuse(GOOD.replace(old, new, 1))
                self.assertIn(f"pools.yaml:{line}", error)
                for word in words:
                    self.assertIn(word, error)

    def test_all_problems_are_told_at_once(self):
        text = (
            GOOD.replace("rpm: 600", "rpm: many")
            .replace("timeout: 20s", "timeout: x")
            .replace("order", "odrer")
        )
        error = self.refuse(text)
        for line in (8, 11, 13):
            self.assertIn(f"pools.yaml:{line}: ", error)

    def test_a_secret_written_into_the_file_is_not_repeated(self):
        error = self.refuse(GOOD.replace("env:SIM_KEY", "sk-abcdef123456"))
        self.assertNotIn("sk-abcdef123456", error)

    def test_secrets_that_are_not_there(self):
        error = self.refuse(GOOD.replace("SIM_KEY", "NO_SUCH_VARIABLE"))
        self.assertIn("NO_SUCH_VARIABLE", error)
        error = self.refuse(GOOD.replace("env:SIM_KEY", "file:/no/such/key"))
        self.assertIn("/no/such/key", error)
        self.assertIn("SIM_KEY", self.refuse(GOOD, env={"SIM_KEY": ""}))

    def test_a_budget_needs_prices_and_output_limits(self):
        error = self.refuse(
            GOOD.replace("        price: { input: 0.75, output: 4.5 }\n", ""), "--budget", "5"
        )
        self.assertIn("price", error)
        error = self.refuse(GOOD.replace("        max_output_tokens: 64\n", ""), "--budget", "5")
        self.assertIn("max_output_tokens", error)
        error = self.refuse(
            GOOD.replace("        max_output_tokens: 64\n", "") + "  budget_usd: 5\n"
        )
        self.assertRegex(error, r"pools\.yaml:7: .*max_output_tokens")

    def test_files_that_are_no_configuration(self):
        for text in ("", "pools: []\n", "just text\n", "[1]\n"):
            self.assertIn("pools.yaml", self.refuse(text))
        self.config.unlink()
        self.config.mkdir()
        for name in (self.config, self.folder / "none.yaml"):
            process = self.command(
                "run", self.input, "-o", self.folder / "out.jsonl", "-c", name, expect=USAGE
            )
            self.assertIn(str(name), process.err)

    def test_two_pools_of_one_name(self):
        second = GOOD[GOOD.index("  - name") : GOOD.index("job:")]
        error = self.refuse(GOOD.replace("job:", second + "job:"))
        self.assertRegex(error, r"pools\.yaml:12: .*name")

    def test_ca_file_that_is_not_there(self):
        text = GOOD.replace("http://127", "https://127").replace(
            "    lanes:", "    tls: { ca_file: none.pem }\n    lanes:"
        )
        self.assertIn("none.pem", self.refuse(text))


class GoodConfiguration(Case):
    def test_comments_block_form_and_defaults(self):
        sim, job, ids = self.simple_job(10)
        job.config.write_text(f"""\
# A comment.
pools:
  - name: main              # trailing comment
    provider: openai
    endpoint: {sim.endpoints["main"]}/
    auth:
      api_key: env:SIM_KEY
    lanes:
      - model: gpt-5.4-mini
""")
        job.run(expect=OK)
        self.check_each_once(job, ids)

    def test_a_key_from_a_file(self):
        sim, job, ids = self.simple_job(3)
        (self.folder / "key").write_text("sim-key-5f2c81d07be94a\n")
        job.configure([pool(sim.endpoints["main"], auth={"api_key": f"file:{self.folder}/key"})])
        job.run()
        self.check_each_once(job, ids)


if __name__ == "__main__":
    unittest.main()
