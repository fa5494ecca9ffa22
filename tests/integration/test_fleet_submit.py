"""`spillway submit` against a real broker: whole jobs or none, each line once, whatever happens."""

import json
import signal
import unittest

from fleet_support import FleetCase, wire
from support import (
    OK,
    STOPPED,
    USAGE,
    prompt,
    write_prompts,
)


class Submitting(FleetCase):
    def setUp(self):
        super().setUp()
        self.input = self.folder / "in.jsonl"

    def submit(self, *flags, job="night", expect=OK, inputs=None):
        return self.fleet_command("submit", *(inputs or [self.input]), "--job", job, *flags,
                                  expect=expect)

    def manifest(self, job="night"):
        return self.jobs_records()[f"job/{job}"]

    def test_every_line_arrives_once_and_the_manifest_counts_them(self):
        write_prompts(self.input, 2000)
        other = self.folder / "more.jsonl"
        write_prompts(other, 700, prefix="q")
        text = other.read_bytes()
        other.write_bytes(text[:-1])  # no line feed at the end
        summary = self.submit("--json", "--weight", "3", "--budget", "2.5", "--tenant", "t",
                              "--lanes", "a,b/c", "--residency", "eu", "--deadline", "1h",
                              inputs=[self.input, other]).summary()
        self.assertEqual((summary["prompts"], summary["result"]), (2700, "submitted"))
        lines = self.shard_lines(summary["submission"])
        expected = (self.input.read_bytes() + text).splitlines(keepends=True)
        self.assertEqual(sorted(lines), sorted(expected))
        manifest = self.manifest()
        self.assertEqual(manifest[7], [2700])
        self.assertEqual(manifest[10], [str(self.input).encode(), str(other).encode()])
        counts = [wire.parse(p) for p in manifest[9]]
        self.assertEqual(sum(c[3][0] for c in counts), 2700)
        policy = wire.parse(manifest[4][0])
        self.assertEqual((policy[1], policy[2], policy[13]), ([b"t"], [3], [b"a", b"b/c"]))
        self.assertEqual((policy[7], policy[6]), ([2_500_000_000], [b"eu"]))
        status = json.loads(self.fleet_command("status", "night", "--json", expect=STOPPED).out)
        self.assertEqual((status["state"], status["prompts"]), ("active", 2700))

    def test_the_submission_is_announced_before_its_first_shard(self):
        write_prompts(self.input, 3)
        self.submit()
        first = self.consume("jobs")[0]
        self.assertEqual(first.key(), b"submission/night")
        self.assertNotIn(6, wire.parse(first.value()), "prompts written so far")
        self.assertLessEqual(first.timestamp()[1], self.consume("shards")[0].timestamp()[1])

    def test_again_is_complete_and_other_content_is_refused(self):
        write_prompts(self.input, 600)
        self.submit()
        before = len(self.consume("shards"))
        self.assertIn("complete already", self.submit().out)
        self.assertEqual(self.submit("--json").summary()["result"], "already_complete")
        write_prompts(self.input, 601)
        self.assertIn("under another name", self.submit(expect=USAGE).err)
        self.assertEqual(len(self.consume("shards")), before)

    def test_bad_lines_are_listed_and_nothing_is_submitted(self):
        write_prompts(self.input, 600)
        with open(self.input, "a", encoding="utf-8") as file:
            file.write("broken\n" + json.dumps(prompt("p-3")) + "\n")
        process = self.submit(expect=USAGE)
        self.assertIn("in.jsonl:601: invalid_json", process.err)
        self.assertIn("in.jsonl:602: duplicate_custom_id", process.err)
        self.assertIn("2 bad lines; nothing was submitted", process.err)
        self.assertEqual((self.consume("jobs"), self.consume("shards")), ([], []))
        self.input.write_text("".join(self.input.read_text().splitlines(keepends=True)[:-1]))
        self.submit(expect=USAGE)
        summary = self.submit("--allow-invalid", "--json").summary()
        self.assertEqual((summary["prompts"], summary["invalid"]), (601, 1))

    def test_a_big_line_travels_in_chunks(self):
        body = {"custom_id": "big", "method": "POST", "url": "/v1/embeddings",
                "body": {"model": "m", "input": "x" * 3_000_000}}
        self.input.write_text(json.dumps(body) + "\n")
        summary = self.submit("--json").summary()
        chunks = self.consume("shards")
        self.assertGreater(len(chunks), 1)
        shard = wire.parse(b"".join(m.value() for m in chunks))
        self.assertEqual(shard[9][0], self.input.read_bytes())
        self.assertEqual(shard[3][0].decode(), summary["submission"])

    def test_models_nobody_offers_are_warned_of(self):
        config = json.loads(self.config.read_text())
        config["pools"] = [{"name": "o", "provider": "openai-compatible",
                            "endpoint": "http://127.0.0.1:1/v1", "lanes": [{"model": "m"}]}]
        self.config.write_text(json.dumps(config))
        write_prompts(self.input, 5)
        self.assertIn("no lane of this file offers model", self.submit().err)

    def interrupt(self, number):
        """Starts a long submission and ends it once a part of it is committed."""
        pad = "x" * 2000
        with open(self.input, "w", encoding="utf-8") as file:
            for i in range(120_000):
                file.write('{"custom_id":"p-%d","method":"POST","url":"/v1/embeddings",'
                           '"body":{"model":"m","input":"%s"}}\n' % (i, pad))
        follower = self.follower("jobs")
        process = self.start(["submit", self.input, "--job", "night", "-c", self.config, "--json"])
        written = 0
        while not written:
            message = follower.poll(60)
            self.assertEqual(message and message.key(), b"submission/night", process.err)
            written = wire.parse(message.value()).get(6, [0])[0]
        process.signal(number)
        return process.wait()

    def check_half(self):
        records = self.jobs_records()
        self.assertNotIn("job/night", records, "a half job is committed")
        written = records["submission/night"][6][0]
        self.assertTrue(0 < written < 120_000, written)
        listed = json.loads(self.fleet_command("jobs", "--json", expect=OK).out)
        self.assertEqual(listed["state"], "submitting")
        self.assertIn("still being submitted", self.fleet_command("pause", "night",
                                                                  expect=USAGE).err)
        return written

    def test_killed_half_way_it_goes_on_and_nothing_comes_twice(self):
        self.interrupt(signal.SIGKILL)
        written = self.check_half()
        summary = self.submit("--json").summary()
        self.assertEqual(summary["result"], "resumed")
        self.assertGreaterEqual(summary["resumed_prompts"], written)
        lines = self.shard_lines(summary["submission"])
        self.assertEqual(len(lines), 120_000)
        self.assertEqual(len(set(lines)), 120_000, "a line was committed twice")
        self.assertEqual(self.manifest()[7], [120_000])

    def test_stopped_half_way_it_exits_3_and_can_be_dropped(self):
        self.assertEqual(self.interrupt(signal.SIGTERM), STOPPED)
        self.check_half()
        write_prompts(self.input, 10)
        self.assertIn("spillway cancel night", self.submit(expect=USAGE).err)
        self.fleet_command("cancel", "night", expect=OK)
        listed = json.loads(self.fleet_command("jobs", "--json", expect=OK).out)
        self.assertEqual(listed["state"], "abandoned")
        summary = self.submit("--json").summary()
        self.assertEqual((summary["result"], summary["prompts"]), ("submitted", 10))
        self.assertEqual(len(self.shard_lines(summary["submission"])), 10)


if __name__ == "__main__":
    unittest.main()
