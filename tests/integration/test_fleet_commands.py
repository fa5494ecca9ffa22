"""Every command of a fleet against a real broker, with clients that were not written here."""

import json
import os
import shutil
import signal
import subprocess
import unittest

from fleet_support import PARTITIONS, FleetCase, wire
from support import (
    ERROR_ROWS,
    OK,
    STOPPED,
    STORAGE,
    USAGE,
    prompt,
    read_rows,
    refused_port,
    wait_until,
    write_prompts,
)


class Topics(FleetCase):
    def test_create_is_idempotent_and_tells(self):
        again = self.fleet_command("topics", "create", expect=OK)
        self.assertIn("as they have to be", again.out)
        told = json.loads(self.fleet_command("topics", "create", "--json", expect=OK).out)
        self.assertEqual((told["created"], told["differences"]), ([], []))
        self.assertEqual(told["fleet"], self.fleet)

    def test_differences_are_named_and_nothing_is_changed(self):
        self.fleet = "other"
        self.configure()
        admin = self.kafka.admin.AdminClient({"bootstrap.servers": self.broker.bootstrap})
        topic = self.kafka.admin.NewTopic(
            "other.results", num_partitions=5, replication_factor=1,
            config={"cleanup.policy": "compact"})
        admin.create_topics([topic])["other.results"].result(30)
        process = self.fleet_command("topics", "create", expect=ERROR_ROWS)
        self.assertIn("other.results", process.out)
        self.assertIn("cleanup.policy", process.out)
        self.assertIn("partitions", process.out)

    def test_a_fleet_with_a_wrong_partition_count_is_refused(self):
        admin = self.kafka.admin.AdminClient({"bootstrap.servers": self.broker.bootstrap})
        grown = self.kafka.admin.NewPartitions(self.topic("shards"), PARTITIONS + 1)
        admin.create_partitions([grown])[self.topic("shards")].result(30)
        process = self.fleet_command("jobs", expect=USAGE)
        self.assertIn(f"has {PARTITIONS + 1} partitions", process.err)


class Broken(FleetCase):
    def test_an_unreachable_broker_is_one_clear_line(self):
        with refused_port() as port:
            self.configure(brokers=[f"127.0.0.1:{port}"])
            for command in (("jobs",), ("status", "x"), ("topics", "create")):
                process = self.fleet_command(*command, expect=STORAGE)
                self.assertEqual(len(process.err.strip().splitlines()), 1, process.err)
                self.assertIn(str(port), process.err)

    def test_missing_topics_name_the_remedy(self):
        self.configure(fleet="nobody-made-this")
        process = self.fleet_command("jobs", expect=USAGE)
        self.assertIn("topics create", process.err)

    def test_unknown_jobs_are_named(self):
        self.fleet_command("jobs", "open", "there", expect=OK)
        out = self.folder / "o.jsonl"
        for command in (("status", "x"), ("pause", "x"), ("resume", "x"), ("cancel", "x"),
                        ("retry", "x"), ("errors", "x"), ("results", "x", "-o", out),
                        ("jobs", "close", "x")):
            process = self.fleet_command(*command, expect=USAGE)
            self.assertIn("no job x", process.err)
            self.assertIn("there", process.err)
        self.assertFalse(out.exists())

    def test_a_configuration_without_kafka_names_line_and_key(self):
        self.config.write_text("member: { id: a }\n")
        self.assertIn("kafka: missing", self.fleet_command("jobs", expect=USAGE).err)
        self.configure(properties={"sasl.password": "hunter2"})
        process = self.fleet_command("jobs", expect=USAGE)
        self.assertIn("sasl.password: expected env:NAME", process.err)
        self.assertNotIn("hunter2", process.err)
        self.configure(properties={"no.such.property": "1"})
        self.assertIn("no.such.property", self.fleet_command("jobs", expect=USAGE).err)


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
        message = follower.poll(60)
        process.signal(number)
        self.assertEqual(message and message.key(), b"submission/night", "a part is committed")
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


class OpenJobs(FleetCase):
    def lines(self, count, prefix):
        return [json.dumps(prompt(f"{prefix}-{i}")) for i in range(count)]

    def test_any_client_can_submit_to_an_open_job(self):
        self.fleet_command("jobs", "open", "stream", "--weight", "5", expect=OK)
        again = json.loads(self.fleet_command("jobs", "open", "stream", "--json", expect=OK).out)
        self.assertFalse(again["written"])
        self.produce("shards", [(f"py-{i}", line, [("job", b"stream")])
                                for i, line in enumerate(self.lines(5, "py"))], partition=1)
        kcat = shutil.which("kcat")
        self.assertTrue(kcat, "kcat is missing; deploy/setup.sh --tests installs it")
        subprocess.run([kcat, "-P", "-b", self.broker.bootstrap, "-t", self.topic("shards"),
                        "-p", "2", "-H", "job=stream"],
                       input="\n".join(self.lines(4, "kc")) + "\n", text=True, check=True,
                       env={**os.environ, "KCAT_CONFIG": "/dev/null"}, timeout=60)
        self.fleet_command("jobs", "close", "stream", expect=OK)
        closes = [r for key, r in self.jobs_records().items() if key.startswith("command/stream/")]
        self.assertEqual(len(closes), 1)
        self.assertEqual(wire.varints(closes[0][7][0]), [0, 5, 4])
        self.assertIn("closed already", self.fleet_command("jobs", "close", "stream",
                                                           expect=OK).out)
        headers = {dict(m.headers())["job"] for m in self.consume("shards")}
        self.assertEqual(headers, {b"stream"})

    def test_files_do_not_go_to_an_open_job(self):
        self.fleet_command("jobs", "open", "stream", expect=OK)
        path = self.folder / "in.jsonl"
        write_prompts(path, 3)
        process = self.fleet_command("submit", path, "--job", "stream", expect=USAGE)
        self.assertIn("is an open one", process.err)
        self.fleet_command("submit", path, "--job", "files", expect=OK)
        self.assertIn("exists and is active",
                      self.fleet_command("jobs", "open", "files", expect=USAGE).err)
        self.assertIn("only open jobs are closed",
                      self.fleet_command("jobs", "close", "files", expect=USAGE).err)


class Control(FleetCase):
    def setUp(self):
        super().setUp()
        path = self.folder / "in.jsonl"
        write_prompts(path, 3)
        self.fleet_command("submit", path, "--job", "j", expect=OK)

    def kinds(self):
        return [wire.parse(m.value()).get(4, [0])[0] for m in self.consume("jobs")
                if m.key().startswith(b"command/j/")]

    def test_commands_are_written_once_and_only_where_they_make_sense(self):
        self.assertIn("is not paused", self.fleet_command("resume", "j", expect=OK).out)
        self.fleet_command("pause", "j", expect=OK)
        told = json.loads(self.fleet_command("pause", "j", "--json", expect=OK).out)
        self.assertEqual(told, {"job": "j", "command": "pause", "written": False})
        self.fleet_command("resume", "j", expect=OK)
        self.fleet_command("retry", "j", "--in-doubt", "--code", "http_500", expect=OK)
        self.fleet_command("cancel", "j", expect=OK)
        self.assertIn("cancelled already", self.fleet_command("cancel", "j", expect=OK).out)
        self.fleet_command("resume", "j", expect=USAGE)
        self.fleet_command("retry", "j", expect=USAGE)
        self.assertEqual(self.kinds(), [1, 2, 4, 3])
        retry = [wire.parse(m.value()) for m in self.consume("jobs")
                 if wire.parse(m.value()).get(4) == [4]][0]
        self.assertEqual((retry[5], retry[6]), ([1], [b"http_500"]))

    def test_cancelling_an_open_job_closes_it(self):
        self.fleet_command("jobs", "open", "s", expect=OK)
        self.fleet_command("cancel", "s", expect=OK)
        kinds = {wire.parse(m.value())[4][0] for m in self.consume("jobs")
                 if m.key().startswith(b"command/s/")}
        self.assertEqual(kinds, {5, 3})

    def test_status_adds_up_partitions_and_ends_with_the_final_record(self):
        self.produce("progress", [
            ("j/0", wire.progress("j", 0, 2, 1, reason="the budget is spent"), []),
            ("j/1", wire.progress("j", 1, 1, 0, 1), [])])
        process = self.fleet_command("status", "j", expect=STOPPED)
        self.assertIn("67%", process.out)
        self.assertIn("Held up: budget: the budget is spent (1 partition)", process.out)
        status = json.loads(self.fleet_command("status", "j", "--json", expect=STOPPED).out)
        self.assertEqual((status["answered"], status["errors"], status["prompts"]), (1, 1, 3))
        self.assertAlmostEqual(status["cost_usd"], 0.01)
        watching = self.start(["status", "j", "--watch", "--json", "-c", self.config])
        wait_until(lambda: watching.out, "it shows")
        self.produce("jobs", [("final/j", wire.final("j", 3, 2, 1), [])])
        self.assertEqual(watching.wait(30), ERROR_ROWS)
        last = watching.events()[-1]
        self.assertEqual((last["state"], last["answered"], last["elapsed_s"]), ("finished", 2, 60))
        self.assertIn("finished", self.fleet_command("status", expect=OK).out)
        self.fleet_command("retry", "j", expect=OK)
        self.fleet_command("status", "j", expect=STOPPED)


class Results(FleetCase):
    def setUp(self):
        super().setUp()
        self.out, self.errors = self.folder / "out.jsonl", self.folder / "out.errors.jsonl"
        path = self.folder / "in.jsonl"
        write_prompts(path, 6)
        self.fleet_command("submit", "in.jsonl", "--job", "j", expect=OK)

    def results(self, *flags, expect):
        return self.fleet_command("results", "j", "-o", self.out, *flags, expect=expect)

    def ids(self, path):
        return [row["custom_id"] for row in read_rows(path)]

    def finish(self, answered, errors):
        self.produce("jobs", [("final/j", wire.final("j", answered + errors, answered, errors), [])])

    def test_each_prompt_once_and_retries_win(self):
        self.produce("results", [
            self.result("j", "p-2", 0, 2, 3), self.result("j", "p-0", 0, 0, 1, error="http_500"),
            self.result("j", "p-1", 0, 1, 2, error="http_400"),
            self.result("other", "x", 0, 0, 1)], partition=0)
        self.results(expect=STOPPED)
        self.assertEqual((self.ids(self.out), self.ids(self.errors)), (["p-2"], ["p-0", "p-1"]))
        self.assertIn("exists; --overwrite", self.results(expect=USAGE).err)
        self.produce("results", [
            self.result("j", "p-0", 0, 0, 1, generation=1),
            self.result("j", "p-2", 0, 2, 3),
            ("j/p-9", b"not ours", [("job", b"j")])], partition=0)
        self.produce("results", [self.result("j", f"p-{i}", 1, i, i + 1) for i in (5, 4, 3)],
                     partition=1)
        self.finish(5, 1)
        process = self.results("--overwrite", "--json", expect=ERROR_ROWS)
        self.assertEqual(sorted(self.ids(self.out)), ["p-0", "p-2", "p-3", "p-4", "p-5"])
        self.assertEqual(self.ids(self.errors), ["p-1"])
        self.assertEqual((process.summary()["answered"], process.summary()["errors"]), (5, 1))
        self.assertIn("skipped 1 records", process.err)
        self.results("--overwrite", "--ordered", expect=ERROR_ROWS)
        self.assertEqual(self.ids(self.out), ["p-0", "p-2", "p-3", "p-4", "p-5"])
        self.assertEqual(self.ids(self.errors), ["p-1"])
        left = {p.name for p in self.folder.iterdir() if p.name.startswith((".spillway", "out."))}
        self.assertEqual(left, {"out.jsonl", "out.errors.jsonl"})

    def test_aborted_rows_do_not_count_and_chunks_come_together(self):
        producer = self.producer(**{"transactional.id": "owner"})
        producer.init_transactions(30)
        for aborted in (True, False):
            producer.begin_transaction()
            key, value, headers = self.result("j", "p-0", 0, 0, 1, pad=2_000_000)
            if aborted:
                key, value, headers = self.result("j", "p-1", 0, 1, 2)
                producer.produce(self.topic("results"), value, key, 0, headers=headers)
                producer.flush(30)
                producer.abort_transaction(30)
                continue
            pieces = [value[i : i + 900_000] for i in range(0, len(value), 900_000)]
            for i, piece in enumerate(pieces):
                chunk = [("job", b"j"), ("chunk", f"set-1/{i}/{len(pieces)}".encode())]
                producer.produce(self.topic("results"), piece, key, 0,
                                 headers=(headers if i == 0 else []) + chunk[i == 0 :])
            producer.commit_transaction(30)
        self.finish(1, 0)
        self.results(expect=OK)
        rows = read_rows(self.out)
        self.assertEqual([r["custom_id"] for r in rows], ["p-0"])
        self.assertEqual(len(rows[0]["response"]["body"]["text"]), 2_000_000)
        self.assertFalse(self.errors.exists())

    def test_follow_ends_with_the_job(self):
        following = self.start(["results", "j", "-o", self.out, "--follow", "-c", self.config])
        for i in range(6):
            self.produce("results", [self.result("j", f"p-{i}", 0, i, i + 1)])
            wait_until(lambda: self.out.exists() and len(self.out.read_bytes().splitlines()) > i,
                       "the row arrives")
        self.assertIsNone(following.code)
        self.finish(6, 0)
        self.assertEqual(following.wait(30), OK)
        self.assertEqual(self.ids(self.out), [f"p-{i}" for i in range(6)])

    def test_following_can_be_stopped(self):
        following = self.start(["results", "j", "-o", self.out, "--follow", "-c", self.config])
        wait_until(self.out.exists, "it follows")
        following.signal(signal.SIGINT)
        self.assertEqual(following.wait(30), STOPPED)

    def test_rows_that_are_gone_are_missed(self):
        self.produce("results", [self.result("j", "p-0", 0, 0, 1)])
        self.finish(6, 0)
        self.assertIn("5 rows of job j", self.results(expect=STORAGE).err)

    def test_errors_are_counted_by_code(self):
        self.assertIn("No error rows", self.fleet_command("errors", "j", expect=OK).out)
        self.produce("results", [
            self.result("j", f"p-{i}", 0, i, i + 1, error="http_500" if i else "in_doubt")
            for i in range(4)] + [self.result("j", "p-3", 0, 3, 4, generation=1)])
        process = self.fleet_command("errors", "j", "--limit", "1", expect=ERROR_ROWS)
        self.assertRegex(process.out, r"http_500 +2\n")
        self.assertRegex(process.out, r"in_doubt +1\n")
        self.assertIn("and 2 more", process.out)
        rows = self.fleet_command("errors", "j", "--json", expect=ERROR_ROWS).events()
        self.assertEqual([r["custom_id"] for r in rows], ["p-0", "p-1", "p-2"])


class Dead(FleetCase):
    def test_letters_are_listed_shown_and_sent_back_once(self):
        self.assertIn("No dead letters", self.fleet_command("dead", "list", expect=OK).out)
        line = json.dumps(prompt("lost")).encode()
        self.produce("dead", [
            ("", wire.dead_letter("shards", 2, 7, b"lost", line, [("job", b"gone")],
                                  "unknown_job", "no job gone; open it first"), []),
            ("", wire.dead_letter("shards", 0, 8, b"", b"\x00\x01", [("job", b"j")],
                                  "unparsable", "not text"), [])])
        listed = self.fleet_command("dead", "list", "--json", expect=OK).events()
        self.assertEqual([(d["code"], d["job"], d["topic_offset"]) for d in listed],
                         [("unknown_job", "gone", 7), ("unparsable", "j", 8)])
        self.assertIn("no job gone", self.fleet_command("dead", "list", expect=OK).out)
        shown = json.loads(self.fleet_command("dead", "show", "0", "--json", expect=OK).out)
        self.assertEqual(shown["value"].encode(), line)
        self.assertIn("hex:0001", self.fleet_command("dead", "show", "1", expect=OK).out)
        self.fleet_command("dead", "show", "9", expect=USAGE)
        self.fleet_command("dead", "requeue", expect=USAGE)
        told = json.loads(self.fleet_command("dead", "requeue", "--all", "--job", "gone", "--json",
                                             expect=OK).out)
        self.assertEqual(told["requeued"], 1)
        back = self.consume("shards")
        self.assertEqual([(m.partition(), m.key(), m.value()) for m in back], [(2, b"lost", line)])
        self.assertEqual(dict(back[0].headers())["job"], b"gone")
        self.assertIn("--again", self.fleet_command("dead", "requeue", "0", expect=USAGE).err)
        self.fleet_command("dead", "requeue", "0", "--again", expect=OK)
        self.fleet_command("dead", "requeue", "--all", expect=OK)
        self.assertEqual(len(self.consume("shards")), 3)
        flags = [d["requeued"] for d in self.fleet_command("dead", "list", "--json",
                                                           expect=OK).events()]
        self.assertEqual(flags, [True, True])


if __name__ == "__main__":
    unittest.main()
