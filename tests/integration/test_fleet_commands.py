"""Topics, open jobs, control, dead letters and a broker that is not as it should be, with clients
that were not written here."""

import json
import os
import shutil
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


class Access(FleetCase):
    """A broker that asks who you are."""

    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config":
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            'username="broker" password="b" user_broker="b" user_alice="right" user_bob="bob";',
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:broker;User:alice;User:ANONYMOUS",
    }

    def configure(self, user="alice", password="right", **kafka):
        self.environment = {"KAFKA_PASSWORD": password}
        super().configure(properties={
            "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
            "sasl.username": user, "sasl.password": "env:KAFKA_PASSWORD"}, **kafka)

    def test_credentials_pass_through_and_refusals_are_one_clear_line(self):
        self.fleet_command("jobs", "open", "j", expect=OK)
        self.configure(password="wrong-secret")
        process = self.fleet_command("jobs")
        self.assertIn(process.code, (USAGE, STORAGE), process.err)
        self.assertIn("uthentication", process.err)
        self.assertNotIn("wrong-secret", process.err)
        self.assertEqual(len(process.err.strip().splitlines()), 1, process.err)
        self.configure(user="bob", password="bob")
        for command in (("jobs",), ("pause", "j")):
            process = self.fleet_command(*command, expect=USAGE)
            self.assertIn("grant this user", process.err)
            self.assertEqual(len(process.err.strip().splitlines()), 1, process.err)
        self.environment = {}
        self.assertIn("KAFKA_PASSWORD", self.fleet_command("jobs", expect=USAGE).err)


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
