"""Every command, its help, its outputs and its files."""

import json
import os
import signal
import unittest

from support import (
    ERROR_ROWS,
    OK,
    STOPPED,
    USAGE,
    Case,
    Job,
    held,
    lane,
    pool,
    prompt,
    sim_pool,
    wait_until,
    write_prompts,
)


class HelpAndUsage(Case):
    def test_version_is_one_line(self):
        self.assertRegex(self.command("--version", expect=OK).out, r"^spillway \d+\.\d+\.\d+\n$")

    def test_help_teaches_an_example_the_commands_and_the_exit_codes(self):
        text = self.command("--help", expect=OK).out
        for part in (
            "spillway run",
            "spillway status",
            "simulate",
            "pools:",
            "custom_id",
            "Exit codes",
            "0 ",
            "1 ",
            "2 ",
            "3 ",
            "4 ",
        ):
            self.assertIn(part, text)

    def test_every_command_has_help(self):
        for command, flags in (
            ("run", ["--budget", "--residency", "--strict", "--in-doubt", "--state"]),
            ("status", ["--json"]),
            ("simulate", ["--ready-file"]),
        ):
            text = self.command(command, "--help", expect=OK).out
            for flag in flags:
                self.assertIn(flag, text)

    def test_wrong_usage_exits_2_and_points_to_help(self):
        for arguments in (
            [],
            ["frobnicate"],
            ["run"],
            ["run", "x.jsonl"],
            ["run", "--nonsense"],
            ["status"],
            ["simulate"],
        ):
            process = self.command(*arguments, expect=USAGE)
            self.assertEqual(process.out, "", arguments)
            self.assertIn("--help", process.err, arguments)

    def test_wrong_flag_values_name_the_flag(self):
        for flag, value in (
            ("--order", "cheapest"),
            ("--budget", "-1"),
            ("--budget", "nan"),
            ("--stall-timeout", "soon"),
            ("--residency", "EU!"),
            ("--in-doubt", "maybe"),
            ("--max-attempts", "0"),
            ("--max-error-rate", "2"),
            ("--max-line-bytes", "1"),
            ("--log-format", "xml"),
        ):
            process = self.command(
                "run", "in.jsonl", "-o", "out.jsonl", "-c", "pools.yaml", flag, value, expect=USAGE
            )
            self.assertIn(flag, process.err)


class RunOutputs(Case):
    def test_rows_have_the_batch_form_and_say_where_they_came_from(self):
        sim, job, ids = self.simple_job(40)
        job.configure([pool(sim.endpoints["main"], region="r-1")])
        process = job.run("--job", "nightly")
        self.check_each_once(job, ids)
        self.check_money(sim, job)
        lines = {p: i for i, p in enumerate(ids, 1)}
        for row in job.rows():
            self.assertEqual(set(row), {"id", "custom_id", "response", "error", "spillway"})
            self.assertEqual(set(row["response"]), {"status_code", "request_id", "body"})
            ours = row["spillway"]
            expected = {
                "job": "nightly",
                "pool": "main",
                "provider": "openai",
                "region": "r-1",
                "residency": [],
                "attempts": 1,
                "maybe_billed": 0,
                "file": str(job.input),
                "line": lines[row["custom_id"]],
                "dropped": [],
                "cached_tokens": 0,
                "lane": "gpt-5.4-mini",
                "model": "gpt-5.4-mini",
            }
            self.assertEqual({k: ours[k] for k in expected}, expected)
            self.assertEqual(
                ours["input_tokens"], row["response"]["body"]["usage"]["prompt_tokens"]
            )
            self.assertEqual(
                ours["output_tokens"], row["response"]["body"]["usage"]["completion_tokens"]
            )
            self.assertLessEqual(ours["sent_at"], ours["done_at"])
        self.assertEqual(len({r["id"] for r in job.rows()}), len(ids))
        self.assertIn("main/gpt-5.4-mini", process.out)
        self.assertIn("Answered 40 of 40", process.out)
        self.assertFalse(job.error_rows())

    def test_json_events_and_nothing_else_on_standard_output(self):
        sim, job, ids = self.simple_job(30)
        process = job.run("--json")
        events = process.events()
        self.assertEqual([e["event"] for e in events[:-1]], ["progress"] * (len(events) - 1))
        summary = process.summary()
        self.assertEqual(
            (summary["exit_code"], summary["answered"], summary["errors"], summary["prompts"]),
            (OK, 30, 0, 30),
        )
        self.assertEqual(summary["state"], "finished")
        self.assertEqual(summary["lanes"][0]["answered"], 30)
        self.assertAlmostEqual(summary["cost_usd"], sim.stats()["billed_usd"], places=7)

    def test_quiet_run_says_nothing(self):
        _, job, ids = self.simple_job(5)
        process = job.run("--quiet", "--log-level", "off")
        self.assertEqual(process.out + process.err, "")
        self.check_each_once(job, ids)

    def test_logs_can_be_json_lines(self):
        _, job, ids = self.simple_job(300, sim_changes={"latency": "1s"})
        process = job.start("--quiet", "--log-format", "json")
        wait_until(lambda: job.state.joinpath("status.json").exists(), "the run goes on")
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(), STOPPED)
        logged = [json.loads(line) for line in process.err.splitlines() if line.startswith("{")]
        self.assertTrue(logged)
        for line in logged:
            self.assertEqual({"time", "level", "message"} - set(line), set())

    def test_files_go_where_the_flags_say(self):
        _, job, _ = self.simple_job(5)
        with open(job.input, "a", encoding="utf-8") as file:
            file.write("broken\n")
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        job.errors, job.state = elsewhere / "bad.jsonl", elsewhere / "kept"
        job.run("--errors", job.errors, "--state", job.state, expect=ERROR_ROWS)
        self.assertEqual((len(job.rows()), len(job.error_rows())), (5, 1))
        self.assertTrue((job.state / "status.json").exists())
        self.assertEqual(
            sorted(p.name for p in self.folder.glob("job.*")), ["job.jsonl", "job.pools.yaml"]
        )

    def test_output_that_nobody_takes_does_not_stop_a_run(self):
        sim, job, ids = self.simple_job(100, {"latency": "10ms"})

        def no_reader():
            read, write = os.pipe()
            os.close(read)
            for stream in (1, 2):
                os.dup2(write, stream)

        def nothing_open():
            for stream in (0, 1, 2):
                os.close(stream)

        def full():
            for stream in (1, 2):
                os.dup2(os.open("/dev/full", os.O_WRONLY), stream)

        for preexec in (no_reader, nothing_open, full):
            with self.subTest(preexec.__name__):
                job = Job(self, [pool(sim.endpoints["main"])], name=preexec.__name__)
                job.run(preexec=preexec)
                self.check_each_once(job, ids)

    def test_many_threads_and_one_thread_answer_the_same(self):
        sim, job, ids = self.simple_job(200)
        job.run("--threads", "1", "--seed", "5")
        self.check_each_once(job, ids)
        other = Job(self, [pool(sim.endpoints["main"])], name="other")
        other.run("--threads", "4", "--seed", "5")
        self.check_each_once(other, ids)

    def test_a_finished_run_repeated_sends_nothing(self):
        sim, job, ids = self.simple_job(30)
        job.run()
        before = job.output.read_bytes()
        job.run()
        self.assertEqual(sim.stats()["requests"], 30)
        self.assertEqual(job.output.read_bytes(), before)


class StatusCommand(Case):
    def test_status_while_running_and_after_the_end(self):
        sim, job, ids = self.simple_job(60, sim_changes={"faults": held(0.1)})
        process = job.start("--quiet")
        sim.wait_for(lambda s: s["answered"] > 0, "a first answer")

        def running():
            status = self.command("status", "-o", job.output, "--json")
            if status.code != OK:
                return None
            status = json.loads(status.out)
            return status if status["progress"]["answered"] > 0 else None

        status = wait_until(running, "the status shows answers")
        self.assertEqual((status["alive"], status["pid"]), (True, process.popen.pid))
        self.assertLess(status["progress"]["answered"], 60)
        sim.release()
        self.assertEqual(process.wait(), OK)
        text = self.command("status", "--state", job.state, expect=OK).out
        self.assertIn("State: finished", text)
        self.assertIn("Answered 60 of 60", text)
        after = json.loads(self.command("status", "-o", job.output, "--json", expect=OK).out)
        self.assertEqual((after["alive"], after["progress"]["answered"]), (False, 60))

    def test_status_of_a_killed_run_says_so(self):
        sim, job, _ = self.simple_job(60, sim_changes={"latency": "1s"})
        process = job.start("--quiet")
        wait_until(lambda: (job.state / "status.json").exists(), "a status is written")
        process.kill()
        text = self.command("status", "-o", job.output, expect=OK).out
        self.assertIn("interrupted", text)
        self.assertIn("repeat the command", text)

    def test_status_of_nothing_is_a_usage_error(self):
        process = self.command("status", "-o", self.folder / "none.jsonl", expect=USAGE)
        self.assertIn("none.state", process.err)

    def test_damaged_status_is_a_state_fault(self):
        _, job, _ = self.simple_job(3)
        job.run()
        (job.state / "status.json").write_text('{"pid":')
        process = self.command("status", "-o", job.output)
        self.assertEqual(process.code, 4)
        self.assertIn("status.json", process.err)


class SimulateCommand(Case):
    def test_serves_until_a_signal_and_exits_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            sim = self.simulate(sim_pool(), sim_pool("azure", "azure-openai"), name=f"sim{number}")
            self.assertEqual(sim.ready["pid"], sim.process.popen.pid)
            self.assertEqual(set(sim.endpoints), {"main", "azure"})
            self.assertTrue(sim.endpoints["azure"].endswith("/azure/openai/v1"))
            self.assertIn(sim.endpoints["main"], sim.process.out)
            self.assertEqual(sim.stats()["requests"], 0)
            sim.process.signal(number)
            self.assertEqual(sim.process.wait(10), OK)

    def test_configuration_errors_name_line_and_key(self):
        path = self.folder / "sim.yaml"
        path.write_text(
            "listen: 0.0.0.0:80\npools:\n  - name: a\n    provider: openai\n    colour: red\n"
            "    faults: [{ kind: quota, from: 5s, to: 2s, factor: 0.5 }]\n"
        )
        error = self.command("simulate", "-c", path, expect=USAGE).err
        self.assertRegex(error, r"sim\.yaml:1: .*listen")
        self.assertRegex(error, r"sim\.yaml:5: .*colour")
        self.assertRegex(error, r"sim\.yaml:6: .*to")

    def test_missing_configuration_is_named(self):
        self.assertIn("none.yaml", self.command("simulate", "-c", "none.yaml", expect=USAGE).err)


class Endpoints(Case):
    def test_chat_responses_and_embeddings_in_one_file(self):
        sim = self.simulate(
            sim_pool(),
            sim_pool("azure", "azure-openai", latency="1ms"),
            sim_pool("local", "openai-compatible", api_key=None),
        )
        urls = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings")
        for name, provider in (
            ("main", "openai"),
            ("azure", "azure-openai"),
            ("local", "openai-compatible"),
        ):
            auth = None if name == "local" else {"api_key": "env:SIM_KEY"}
            job = Job(self, [pool(sim.endpoints[name], name, provider, auth=auth)], name=name)
            prompts = [prompt(f"{name}-{i}", urls[i % 3], i) for i in range(60)]
            job.input.write_text("".join(json.dumps(p) + "\n" for p in prompts))
            job.run()
            self.check_each_once(job, [p["custom_id"] for p in prompts])
            bodies = {r["custom_id"]: r["response"]["body"] for r in job.rows()}
            self.assertEqual(bodies[f"{name}-0"]["object"], "chat.completion")
            self.assertEqual(bodies[f"{name}-1"]["object"], "response")
            self.assertEqual(bodies[f"{name}-2"]["object"], "list")
            self.assertEqual(bodies[f"{name}-2"]["data"][0]["object"], "embedding")
        self.check_each_once(job, [p["custom_id"] for p in prompts])

    def test_a_pool_may_have_its_own_name_for_a_model(self):
        sim = self.simulate(sim_pool("azure", "azure-openai", models=["mini-prod"]))
        job = Job(
            self,
            [pool(sim.endpoints["azure"], "azure", "azure-openai", [lane(**{"as": "mini-prod"})])],
        )
        ids = write_prompts(job.input, 10)
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual({r["spillway"]["model"] for r in job.rows()}, {"gpt-5.4-mini"})
        self.assertEqual({r["spillway"]["lane"] for r in job.rows()}, {"mini-prod"})


if __name__ == "__main__":
    unittest.main()
