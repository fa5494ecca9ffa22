"""Members: their configuration, their pages, how they begin and end, and records that can't be
worked on."""

import json
import os
import re
import shutil
import signal
import subprocess
import unittest

from fleet_support import wire
from serve_support import ERROR_ROWS, OK, PARTITIONS, STOPPED, ServeCase
from support import STORAGE, USAGE, held, prompt, refused_port, wait_until, write_prompts
from test_metrics import unpacked_promtool


class Config(ServeCase):
    sim_pools = {"main": {"latency": "150ms"}, "second": {}}

    def test_a_changed_configuration_is_taken_on_whole_or_not_at_all(self):
        path = self.folder / "in.jsonl"
        ids = write_prompts(path, 2500)
        self.lanes["second"] = {"price": {"input": 0.1, "output": 0.2}}
        member = self.serve()
        self.submit(path, "j")
        self.sim.wait_for(lambda s: s["pools"]["main"]["in_flight"] == 16, "calls are in flight")
        self.config.write_text(self.config.read_text().replace('"timeout"', '"timeuot"'))
        member.process.signal(signal.SIGHUP)
        member.wait_log("the configuration stays as it was")
        self.assertIn("timeuot", member.log)
        before = self.requests()
        self.sim.wait_for(lambda s: s["pools"]["main"]["requests"] > before + 16, "it goes on")

        self.configure(working=["main", "second"])
        member.process.signal(signal.SIGHUP)
        member.wait_log("is in force")
        self.wait_finished("j", expect=OK)
        self.check_answers(self.results("j", expect=OK)[0], ids)
        stats = self.sim.stats()
        self.assertGreater(stats["pools"]["second"]["answered"], 0)
        self.assertEqual((stats["requests"], stats["dropped"]), (2500, 0))
        config = member.status()["config"]
        self.assertEqual((config["reloads_ok"], config["reloads_failed"]), (1, 1))

    def test_what_needs_a_restart_is_named_and_the_rest_is_taken_on(self):
        self.lanes["second"] = {"price": {"input": 0.1, "output": 0.2}}
        member = self.serve()
        running = member.url
        self.configure(working=["second"], fleet="another", properties={"linger.ms": "7"},
                       partitions=64, member={"listen": "127.0.0.1:1"})
        member.process.signal(signal.SIGHUP)
        member.wait_log("needs a restart")
        said = [line for line in member.log.splitlines() if "needs a restart" in line]
        self.assertEqual([line.rsplit(": ", 1)[1] for line in said],
                         ["kafka.fleet, kafka.properties.linger.ms, member.listen"])
        self.assertEqual(member.url, running)
        wait_until(lambda: member.status()["config"]["reloads_ok"] == 1, "the rest is taken on")
        self.assertEqual(member.status()["config"]["reloads_failed"], 0)

        self.configure(working=["second"])
        path = self.folder / "in.jsonl"
        write_prompts(path, 20)
        self.submit(path, "j")
        self.wait_finished("j", expect=OK)
        self.assertEqual((self.requests("main"), self.requests("second")), (0, 20))


class Pages(ServeCase):
    sim_pools = {"main": {"latency": "30ms"}}

    def test_health_and_metrics_during_a_run(self):
        path = self.folder / "in.jsonl"
        write_prompts(path, 3000)
        self.lanes["main"] = {"timeout": "120s"}
        self.configure()
        self.sim.control(pool="main", faults=held(0.002))
        member = self.serve()
        self.submit(path, "j", "--tenant", "lab", "--budget", "5")
        self.sim.wait_for(lambda s: s["answered"] > 100, "it is under way")
        self.assertEqual(member.page("/healthz")[0], 200)
        wait_until(lambda: member.page("/readyz")[0] == 200, "it is ready")
        wait_until(lambda: "spillway_job_budget_usd{" in member.page("/metrics")[1],
                   "the job is shown")
        code, text = member.page("/metrics")
        self.assertEqual(code, 200)
        for shown in ('spillway_job_budget_usd{', 'tenant="lab"', 'spillway_partitions{',
                      'spillway_lane_calls_total{', 'spillway_transactions_committed_total'):
            self.assertIn(shown, text)
        self.sim.release()
        promtool = shutil.which("promtool")
        if promtool or shutil.which("apt-get"):
            checked = subprocess.run([promtool or unpacked_promtool(), "check", "metrics"],
                                     input=text.encode(), capture_output=True)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))
        self.wait_finished("j", expect=OK)

        def total():
            lines = [line for line in member.page("/metrics")[1].splitlines()
                     if line.startswith("spillway_lane_answered_prompts_total{")]
            return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

        wait_until(lambda: total() == 3000, f"all answers are counted, not {total()}")
        self.assertEqual(member.page("/nothing")[0], 404)
        numbers = dict(re.findall(r"^(\w+) ([0-9.e+]+)$", member.page("/metrics")[1], re.MULTILINE))
        self.assertEqual(float(numbers["spillway_stored_results_total"]), 3000)
        self.assertEqual(float(numbers["spillway_stored_intents_total"]), 3000)
        for metric in ("spillway_index_size_bytes", "spillway_index_memtable_bytes",
                       "spillway_group_rebalances_total", "spillway_takeovers_total",
                       "process_resident_memory_bytes"):
            self.assertGreater(float(numbers[metric]), 0, metric)


class Life(ServeCase):
    sim_pools = {"main": {"latency": "100ms"}}

    def test_drained_and_started_again_nothing_is_sent_twice(self):
        path = self.folder / "in.jsonl"
        ids = {}
        first, second = self.serve("a", "b")
        for member in (first, second):
            job = f"of-{member.name}"  # of its own: however long the start takes, there is work
            ids[job] = write_prompts(path, 700, prefix=job)
            self.submit(path, job)
            before = self.sim.stats()["answered"]
            self.sim.wait_for(lambda s: s["answered"] > before + 50, "it is under way")
            member.stop(expect=OK)
            self.assertIn("nothing is in flight", member.log)
            # The same one again, while nobody has missed it yet.
            self.run_member(member.name).wait_log("partitions assigned")
        for job in ids:
            self.wait_finished(job, expect=OK)
            self.check_answers(self.results(job, expect=OK)[0], ids[job])
        stats = self.sim.stats()
        self.assertEqual((stats["requests"], stats["dropped"]), (1400, 0))

    def test_of_two_with_one_name_the_older_makes_way(self):
        older = self.serve()
        newer = self.run_member("b", identity="a")
        self.assertEqual(older.process.wait(60), USAGE)
        self.assertIn("another process works as member a", older.log)
        newer.wait_owning()
        path = self.folder / "in.jsonl"
        write_prompts(path, 30)
        self.submit(path, "j")
        self.wait_finished("j", expect=OK)
        self.assertEqual(self.requests(), 30)


class HandOver(ServeCase):
    sim_pools = {"main": {"faults": held(1)}}

    def test_answers_that_outlive_a_hand_over_are_counted(self):
        self.lanes["main"] = {"timeout": "120s"}
        self.configure()
        first = self.serve("a")
        self.fleet_command("jobs", "open", "j", expect=OK)
        ids = [f"{p}-{i}" for p in range(PARTITIONS) for i in range(5)]
        for p in range(PARTITIONS):
            self.produce("shards", [(i, json.dumps(prompt(i)).encode(), [("job", b"j")])
                                    for i in ids if i.startswith(f"{p}-")], partition=p)
        self.sim.wait_for(lambda s: s["pools"]["main"]["in_flight"] == len(ids), "all are called")
        second = self.run_member("b")
        wait_until(second.owned, f"it works on some{self.logs()}", 60)
        self.sim.release()
        self.wait_status("j", lambda s: s["answered"] == len(ids), "all are answered")
        self.fleet_command("jobs", "close", "j", expect=OK)
        self.wait_finished("j", expect=OK)
        self.check_answers(self.results("j", expect=OK)[0], ids)
        self.assertEqual(self.requests(), len(ids))
        wait_until(lambda: first.counter("spillway_late_answers_sent_total") > 0,
                   f"answers went through late{self.logs()}")
        sent = first.counter("spillway_late_answers_sent_total")
        wait_until(lambda: second.counter("spillway_late_answers_received_total") == sent,
                   "all of them arrived")


class Broken(ServeCase):
    def refused(self, code, *texts, **how):
        process = self.run_member(**how).process
        self.assertEqual(process.wait(60), code, process.err)
        said = [line for line in process.err.splitlines() if line.startswith("spillway: ")]
        self.assertEqual(len(said), 1, process.err)
        self.assertNotIn(" error ", process.err)
        for text in texts:
            self.assertIn(text, said[0])

    def test_what_a_member_needs_and_does_not_find(self):
        self.configure(fleet="nobody-made-this")
        self.refused(USAGE, "nobody-made-this", "topics create")
        with refused_port() as port:
            self.configure(brokers=[f"127.0.0.1:{port}"])
            self.refused(STORAGE, str(port))
        self.configure(member={"listen": "127.0.0.1:0"}, policy={"ordr": "cost"})
        self.refused(USAGE, "ordr")
        self.configure()
        self.refused(USAGE, "member.id", identity=" ")
        file = self.folder / "a-file"
        file.write_text("")
        self.refused(STORAGE, str(file), state=file / "state")

    @unittest.skipIf(os.geteuid() != 0, "needs a read-only folder that holds for this user")
    def test_a_state_folder_without_room_for_it(self):
        self.refused(STORAGE, "/proc/sys/kernel", state="/proc/sys/kernel/spillway")

    def test_a_wrong_partition_count(self):
        admin = self.kafka.admin.AdminClient({"bootstrap.servers": self.broker.bootstrap})
        grown = self.kafka.admin.NewPartitions(self.topic("results"), PARTITIONS + 2)
        admin.create_partitions([grown])[self.topic("results")].result(30)
        self.refused(USAGE, f"partitions is {PARTITIONS + 2}, must be {PARTITIONS}")


class Letters(ServeCase):
    def letters(self, count):
        def there():
            out = self.fleet_command("dead", "list", "--json", expect=OK).events()
            return out if len(out) >= count else None

        return wait_until(there, f"{count} dead letters{self.logs()}", 60)

    def test_records_that_cant_be_worked_on_are_kept_and_sent_back(self):
        member = self.serve()
        line = json.dumps(prompt("one")).encode()
        self.produce("shards", [
            ("k", line, [("job", b"later")]),
            ("k", line, []),
            ("k", b"\xff\x00 no shard", [("spillway-format", b"shard/1")]),
            ("k", b"whatever", [("spillway-format", b"shard/9"), ("job", b"later")])], partition=1)
        letters = {d["topic_offset"]: d for d in self.letters(4)}
        self.assertEqual([letters[i]["code"] for i in range(4)],
                         ["unknown_job", "missing_job", "unparsable", "unknown_version"])
        wrong = letters[0]["offset"]
        shown = json.loads(self.fleet_command("dead", "show", wrong, "--json", expect=OK).out)
        self.assertEqual(shown["value"].encode(), line)
        self.fleet_command("jobs", "open", "later", expect=OK)
        self.fleet_command("dead", "requeue", wrong, expect=OK)
        self.wait_status("later", lambda s: s["answered"] == 1, "what was sent back is answered")
        self.fleet_command("jobs", "close", "later", expect=OK)
        self.wait_finished("later", expect=OK)
        self.produce("shards", [("k", line, [("job", b"later")])])
        closed = [d for d in self.letters(5) if d["code"] == "job_closed"]
        self.assertEqual([d["job"] for d in closed], ["later"])
        self.assertEqual(self.requests(), 1)
        expected = {"unknown_job": 1, "missing_job": 1, "unparsable": 1, "unknown_version": 1,
                    "job_closed": 1, "too_large": 0}
        for code, count in expected.items():
            shown = f'spillway_dead_letters_total{{code="{code}"}} {count}\n'
            wait_until(lambda: shown in member.page("/metrics")[1], f"the page shows {shown}")

    def test_a_manifest_that_counts_other_prompts_holds_its_job(self):
        path = self.folder / "in.jsonl"
        write_prompts(path, 20)
        self.submit(path, "j")
        key, manifest = [(m.key(), m.value()) for m in self.consume("jobs")
                         if m.key() == b"job/j"][-1]
        fields = wire.parse(manifest)
        fields[7] = [fields[7][0] + 5]  # prompts in all
        self.produce("jobs", [(key, wire.message(fields), [])])
        self.serve()
        damaged = self.wait_status("j", lambda s: s["state"] == "damaged", "it is shown")
        self.assertIn("25 prompts", damaged["reason"])
        self.assertIn("cancel", self.fleet_command("status", "j", expect=STOPPED).out)
        # Others are worked off meanwhile, and nothing of it was sent.
        write_prompts(path, 10, prefix="o")
        self.submit(path, "other")
        self.wait_finished("other", expect=OK)
        self.assertEqual(self.requests(), 10)
        self.cancel_damaged()

    def cancel_damaged(self):
        """What the message advises; some prompts are not there, so not all were answered."""
        self.fleet_command("pause", "j")
        self.fleet_command("cancel", "j", expect=OK)
        last = self.wait_finished("j", expect=ERROR_ROWS)
        self.assertEqual((last["outcome"], last["prompts"]), ("cancelled", 20))
        answers, errors = self.results("j", expect=ERROR_ROWS)
        self.assertEqual(len(answers) + len(errors), 20)

    def test_prompts_that_are_missing_are_shown(self):
        path = self.folder / "in.jsonl"
        write_prompts(path, 20)
        self.submit(path, "j")
        key, manifest = [(m.key(), m.value()) for m in self.consume("jobs")
                         if m.key() == b"job/j"][-1]
        fields = wire.parse(manifest)
        part = wire.parse(fields[9][0])
        part[3] = [part[3][0] + 5]
        fields[7], fields[9] = [25], [wire.message(part), *fields[9][1:]]
        self.produce("jobs", [(key, wire.message(fields), [])])
        self.serve()
        status = self.wait_status("j", lambda s: s["held_up"], "it is shown")
        self.assertIn("damaged: the manifest counts 25 prompts", status["held_up"][0])
        self.assertIn("cancel", status["held_up"][0])
        self.fleet_command("status", "j", expect=STOPPED)
        self.cancel_damaged()


if __name__ == "__main__":
    unittest.main()
