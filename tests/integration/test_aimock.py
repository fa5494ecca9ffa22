"""Clouds that were not written here: @copilotkit/aimock answers on each provider's own paths."""

import collections
import json
import unittest

from foreign_support import ForeignServer, ask, foreign_packages
import foreign_node
from support import Case, Job, answer_text, lane, pool, questions

VERSION = "1.43.0"
MODEL = "gpt-5.4-mini"
COUNT = 40
TOOL = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
}
AWS = {"access_key_id": "env:AWS_ID", "secret_access_key": "env:AWS_SECRET"}
SECRETS = {"AWS_ID": "AKIDEXAMPLE", "AWS_SECRET": "aws-secret-71", "TOKEN": "token-4412"}


class ForeignClouds(Case):
    def setUp(self):
        super().setUp()
        fixtures = [
            {
                "match": {"userMessage": "two tools"},
                "response": {
                    "toolCalls": [
                        {"name": "add", "arguments": '{"a":1}'},
                        {"name": "add", "arguments": '{"a":2}'},
                    ]
                },
            },
            {"match": {"userMessage": "cut short"}, "response": {"content": "So f",
                                                                 "finishReason": "length"}},
            {"match": {"userMessage": "[[id:"}, "response": {"content": "Forty-two, café.",
             "usage": {"prompt_tokens": 31, "completion_tokens": 7, "total_tokens": 38,
                       "input_tokens": 31, "output_tokens": 7}}},
        ]
        path = self.folder / "fixtures.json"
        path.write_text(json.dumps({"fixtures": fixtures}))
        program = foreign_node.package("@copilotkit/aimock", VERSION) / "dist" / "cli.js"
        self.server = ForeignServer(
            self, "aimock", [foreign_node.node(), program, "-p", "0", "-f", path]
        )
        mark = "listening on "
        said = self.server.wait_for(lambda: mark in self.server.said() and self.server.said(),
                                    "aimock listens")
        self.url = said.partition(mark)[2].split()[0]

    def ways(self):
        """name -> (pool, path its requests must come in on)"""
        one = {"concurrency": 4}

        def made(name, provider, endpoint, auth, lane_changes, **changes):
            lanes = [lane(quota=one, **lane_changes)]
            return pool(self.url + endpoint, name, provider, lanes, auth=auth, **changes)

        key = {"api_key": "env:SIM_KEY"}
        token = {"bearer": "env:TOKEN"}
        place = "/v1/projects/proj/locations/us-central1/publishers/google/models/"
        return {
            "openai": (made("openai", "openai", "/v1", key, {}), "/v1/chat/completions"),
            "azure": (made("azure", "azure-openai", "/openai/v1", key, {"as": "mini"}),
                      "/openai/v1/chat/completions"),
            "dated": (made("dated", "azure-openai", "", key, {"as": "mini", "surface": "dated"},
                           api_version="2024-10-21"),
                      "/openai/deployments/mini/chat/completions"),
            "bedrock": (made("bedrock", "bedrock", "", {"aws": AWS},
                             {"as": "openai.gpt-oss-120b-1:0", "surface": "converse"},
                             region="us-east-1"),
                        "/model/openai.gpt-oss-120b-1%3A0/converse"),
            "vertex": (made("vertex", "vertex", "", token,
                            {"as": "gemini-3-flash", "surface": "generate-content"},
                            project="proj", location="us-central1"),
                       place + "gemini-3-flash:generateContent"),
            "anthropic": (made("anthropic", "anthropic", "", key, {"as": "claude-sonnet-4-5"}),
                          "/v1/messages"),
        }

    def write(self, job, texts, **extra):
        rows = []
        for number, text in enumerate(texts):
            body = {"model": MODEL, "max_tokens": 32, **extra, "messages": [
                {"role": "system", "content": "Answer with a number."},
                {"role": "user", "content": f"{text} [[id:q-{number}]]"}]}
            rows.append({"custom_id": f"q-{number}", "method": "POST",
                         "url": "/v1/chat/completions", "body": body})
        job.input.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run_alone(self, name, texts, **extra):
        job = Job(self, [self.ways()[name][0]], name=name)
        self.write(job, texts, **extra)
        job.run(env=SECRETS)
        self.assertEqual(job.error_rows(), [])
        rows = {row["custom_id"]: row for row in job.rows()}
        self.assertEqual(len(rows), len(texts))
        return [rows[f"q-{number}"] for number in range(len(texts))]

    def journal(self):
        return json.loads(ask(self.url + "/__aimock/journal?limit=1000")[1])

    def test_every_form_is_understood(self):
        for name, (_, path) in self.ways().items():
            with self.subTest(name):
                rows = self.run_alone(name, [questions()[0], "Say it cut short.", "Use two tools."],
                                      tools=[TOOL])
                said, cut, called = (row["response"]["body"] for row in rows)
                self.assertEqual(answer_text(rows[0]), "Forty-two, café.")
                self.assertEqual(said["choices"][0]["finish_reason"], "stop")
                self.assertEqual(said["usage"]["prompt_tokens"], 31)
                self.assertEqual(said["usage"]["completion_tokens"], 7)
                self.assertEqual(cut["choices"][0]["finish_reason"], "length")
                calls = called["choices"][0]["message"]["tool_calls"]
                self.assertEqual([c["function"]["name"] for c in calls], ["add", "add"])
                self.assertEqual([json.loads(c["function"]["arguments"]) for c in calls],
                                 [{"a": 1}, {"a": 2}])
                self.assertEqual(len({c["id"] for c in calls}), 2)
                self.assertEqual(called["choices"][0]["finish_reason"], "tool_calls")
                seen = {entry["path"].partition("?")[0] for entry in self.journal()[-3:]}
                self.assertEqual(seen, {path})

    def test_one_job_on_all_of_them(self):
        job = Job(self, [made for made, _ in self.ways().values()])
        self.write(job, questions()[:COUNT * 3])
        job.run(env=SECRETS)
        rows = job.rows()
        self.assertEqual(len({row["custom_id"] for row in rows}), COUNT * 3)
        self.assertEqual({answer_text(row) for row in rows}, {"Forty-two, café."})
        where = collections.Counter(row["spillway"]["pool"] for row in rows)
        self.assertGreater(len(where), 1)
        paths = collections.Counter(e["path"].partition("?")[0] for e in self.journal())
        for name, (_, path) in self.ways().items():
            self.assertEqual(paths.get(path, 0), where.get(name, 0), name)

    def test_refusals_and_cut_lines_are_survived(self):
        self.server.stop()
        path = self.folder / "fixtures.json"
        program = foreign_node.package("@copilotkit/aimock", VERSION) / "dist" / "cli.js"
        self.server = ForeignServer(
            self, "chaos", [foreign_node.node(), program, "-p", "0", "-f", path, "--chaos-ratelimit",
                            "0.1", "--chaos-drop", "0.1", "--chaos-disconnect", "0.05"])
        mark = "listening on "
        said = self.server.wait_for(lambda: mark in self.server.said() and self.server.said(),
                                    "aimock listens")
        self.url = said.partition(mark)[2].split()[0]
        job = Job(self, [made for made, _ in self.ways().values()], max_attempts=12)
        self.write(job, questions()[:COUNT])
        job.run(env=SECRETS)
        self.assertEqual(len({row["custom_id"] for row in job.rows()}), COUNT)
        self.assertEqual(job.error_rows(), [])


if __name__ == "__main__":
    unittest.main()
