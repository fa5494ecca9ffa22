"""What ends a run before its input does: budget, error rate, attempts, daily quotas."""

import json
import unittest

from support import (
    ERROR_ROWS,
    MODEL,
    OK,
    STOPPED,
    USAGE,
    Case,
    Job,
    lane,
    pool,
    sim_pool,
    write_prompts,
)


class Budget(Case):
    def test_the_provider_never_bills_more_and_a_larger_budget_goes_on(self):
        sim, job, ids = self.simple_job(200)
        for budget in (0.002, 0.004, 0.009):
            process = job.run("--budget", str(budget), "--json", expect=STOPPED)
            billed = sim.stats()["billed_usd"]
            self.assertLessEqual(billed, budget)
            self.assertGreater(billed, budget - 0.0008, "the budget was used")
            self.assertIn("--budget", process.summary()["stop_reason"])
            self.assertAlmostEqual(process.summary()["cost_usd"], billed, places=7)
            self.assertFalse(job.error_rows(), "the rest waits without rows")
        process = job.run("--budget", "5")
        self.check_each_once(job, ids)
        self.check_money(sim, job)
        self.assertEqual(sim.stats()["repeated_ids"], 0)

    def test_it_holds_across_kills_and_doubtful_calls(self):
        sim, job, ids = self.simple_job(300, sim_changes={"latency": "30ms"})
        budget = 0.012
        for wanted in (40, 90, 140):
            process = job.start("--budget", str(budget), "--quiet")
            sim.wait_for(
                lambda s, n=wanted: s["requests"] >= n or process.code is not None, "some calls"
            )
            process.kill()
        job.run("--budget", str(budget), expect=STOPPED)
        self.assertLessEqual(sim.stats()["billed_usd"], budget)
        job.run("--budget", "5")
        self.check_each_once(job, ids)

    def test_it_holds_over_several_lanes_and_missing_output_limits(self):
        sim = self.simulate(sim_pool("a", output_tokens=60), sim_pool("b", output_tokens=60))
        few = lane(quota={"concurrency": 3}, max_output_tokens=20)  # asked for with each call
        job = Job(
            self, [pool(sim.endpoints[n], n, lanes=[few]) for n in ("a", "b")], budget_usd=0.01
        )
        ids = write_prompts(job.input, 100)
        text = job.input.read_text().replace('"max_tokens": 32', '"n": 2')
        job.input.write_text(text)
        job.run(expect=STOPPED)
        stats = sim.stats()
        self.assertLessEqual(stats["billed_usd"], 0.01)
        self.assertTrue(all(c["answered"] for c in stats["pools"].values()))
        self.assertFalse(job.error_rows())
        job.run("--budget", "1")
        self.check_each_once(job, ids)
        self.assertLessEqual(max(r["spillway"]["output_tokens"] for r in job.rows()), 2 * 20)

    def spends_within(self, budget, bodies, url, surface=None, output_tokens=100):
        """Sends the bodies under a budget too small for all; the simulator's own bill is within."""
        price = {"input": 0.001, "output": 100}
        sim = self.simulate(sim_pool(output_tokens=output_tokens, price=price))
        shape = lane(
            price=price,
            max_output_tokens=100,
            surface=surface,
            quota={"concurrency": 4},
        )
        job = Job(self, [pool(sim.endpoints["main"], lanes=[shape])], budget_usd=budget)
        with open(job.input, "w", encoding="utf-8") as file:
            for i, body in enumerate(bodies):
                line = {"custom_id": f"p-{i}", "method": "POST", "url": url}
                file.write(json.dumps({**line, "body": {"model": MODEL, **body}}) + "\n")
        job.run(expect=STOPPED)
        self.assertGreater(len(job.rows()), 0)
        self.assertLessEqual(sim.stats()["billed_usd"], budget)
        self.check_money(sim, job)
        return job

    def test_each_prompt_of_a_list_is_reserved_for(self):
        body = {"prompt": [f"one {i}" for i in range(20)], "max_tokens": 100}
        job = self.spends_within(0.5, [body] * 10, "/v1/completions")
        self.assertEqual(len(job.rows()[0]["response"]["body"]["choices"]), 20)

    def test_another_endpoints_limit_is_none(self):
        chat = {"messages": [{"role": "user", "content": "x"}], "max_output_tokens": 1}
        job = self.spends_within(0.03, [chat] * 20, "/v1/chat/completions")
        self.assertGreater(job.rows()[0]["spillway"]["output_tokens"], 1)

    def test_a_limit_that_is_raised_is_reserved_as_it_is_sent(self):
        chat = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
        job = self.spends_within(0.01, [chat] * 20, "/v1/chat/completions", "responses")
        self.assertEqual(job.rows()[0]["spillway"]["output_tokens"], 16)

    def test_input_that_no_byte_bounds_needs_a_job_without_a_budget(self):
        sim = self.simulate(sim_pool())
        job = Job(self, [pool(sim.endpoints["main"])])
        ids = write_prompts(job.input, 3, url="/v1/responses", previous_response_id="r")
        job.run("--budget", "5", expect=ERROR_ROWS)
        self.assertEqual({r["error"]["code"] for r in job.error_rows()}, {"unbounded_input"})
        self.assertIn("previous_response_id", job.error_rows()[0]["error"]["message"])
        self.assertEqual(sim.stats()["requests"], 0)
        free = Job(self, [pool(sim.endpoints["main"])], name="free")
        free.input.write_text(job.input.read_text())
        free.run()
        self.check_each_once(free, ids)

    def test_a_zero_budget_sends_nothing(self):
        sim, job, _ = self.simple_job(5)
        job.run("--budget", "0", expect=STOPPED)
        self.assertEqual(sim.stats()["requests"], 0)

    def test_money_of_a_day_moves_work_to_another_lane(self):
        sim = self.simulate(sim_pool("capped"), sim_pool("free", price={"input": 0, "output": 0}))
        job = Job(
            self,
            [
                pool(
                    sim.endpoints["capped"],
                    "capped",
                    lanes=[lane(quota={"concurrency": 8, "usd_per_day": 0.01})],
                ),
                pool(sim.endpoints["free"], "free", lanes=[lane(price={"input": 0, "output": 0})]),
            ],
            order="as-listed",
        )
        ids = write_prompts(job.input, 200)
        job.run()
        self.check_each_once(job, ids)
        pools = sim.stats()["pools"]
        self.assertLessEqual(pools["capped"]["billed_usd"], 0.01)
        self.assertGreater(pools["capped"]["answered"], 0)

    def test_requests_of_a_day_are_counted_across_runs(self):
        sim = self.simulate(sim_pool("capped"), sim_pool("other"))
        pools = [
            pool(
                sim.endpoints["capped"], "capped", lanes=[lane(quota={"concurrency": 8, "rpd": 30})]
            ),
            pool(sim.endpoints["other"], "other", lanes=[lane(quota={"concurrency": 8})]),
        ]
        job = Job(self, pools, order="as-listed")
        ids = write_prompts(job.input, 150)
        job.run("--budget", "0.004", expect=STOPPED)
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual(sim.stats()["pools"]["capped"]["requests"], 30)


class ErrorRate(Case):
    def failing(self, share):
        return {"faults": [{"kind": "error", "share": share, "status": 400, "by": "prompt"}]}

    def test_too_many_failures_stop_the_run_resumable(self):
        sim, job, ids = self.simple_job(1200, sim_changes=self.failing(0.6))
        process = job.run("--max-error-rate", "0.3", expect=STOPPED)
        self.assertIn("max_error_rate", process.err)
        done = len(job.rows()) + len(job.error_rows())
        self.assertGreaterEqual(done, 200)
        self.assertLess(done, 400, "it stopped soon after the first 200")
        failed = {r["custom_id"] for r in job.error_rows()}
        self.assertEqual({r["response"]["status_code"] for r in job.error_rows()}, {400})
        job.run("--max-error-rate", "1", expect=ERROR_ROWS)
        failed |= {r["custom_id"] for r in job.error_rows()}
        self.check_each_once(job, ids, failed)
        self.assertEqual(sim.stats()["requests"], 1200)

    def test_fewer_failures_do_not(self):
        _, job, ids = self.simple_job(600, sim_changes=self.failing(0.1), max_error_rate=0.3)
        job.run(expect=ERROR_ROWS)
        self.check_each_once(job, ids, {r["custom_id"] for r in job.error_rows()})

    def test_never_before_200_were_sent_and_invalid_lines_do_not_count(self):
        _, job, ids = self.simple_job(150, sim_changes=self.failing(1))
        with open(job.input, "a", encoding="utf-8") as file:
            file.write("bad\n" * 400)
        job.run("--max-error-rate", "0", expect=ERROR_ROWS)
        self.assertEqual(len(job.error_rows()), 550)


class Attempts(Case):
    def test_a_prompt_is_given_up_after_max_attempts(self):
        sim, job, ids = self.simple_job(
            80, {"faults": [{"kind": "error", "share": 0.08, "status": 500, "by": "prompt"}]}
        )
        job.run("--max-attempts", "2", expect=ERROR_ROWS, seconds=120)
        errors = job.error_rows()
        failed = {r["custom_id"] for r in errors}
        self.check_each_once(job, ids, failed)
        self.assertEqual({r["spillway"]["attempts"] for r in errors}, {2})
        self.assertEqual({r["response"]["status_code"] for r in errors}, {500})
        self.assertEqual(sim.stats()["failed_5xx"], 2 * len(failed))

    def test_refusals_do_not_count_as_attempts(self):
        sim = self.simulate(sim_pool(quota={"rpm": 1200, "burst": "100ms"}))
        job = Job(self, [pool(sim.endpoints["main"])], max_attempts=1)
        ids = write_prompts(job.input, 30)
        job.run(expect=OK)
        self.check_each_once(job, ids)
        self.assertGreater(sim.stats()["refused_429"], 0)


class Policy(Case):
    def test_what_belongs_to_the_state_cannot_change(self):
        _, job, _ = self.simple_job(60)
        job.run("--budget", "0.001", expect=STOPPED)
        before = job.output.read_bytes()
        for flags, word in ((["--job", "other"], "job"), (["--in-doubt", "hold"], "in-doubt")):
            process = job.run(*flags, expect=USAGE)
            self.assertIn(word, process.err)
        self.assertEqual(job.output.read_bytes(), before)

    def test_everything_else_may(self):
        sim, job, ids = self.simple_job(60)
        job.run("--budget", "0.001", expect=STOPPED)
        other = self.simulate(sim_pool("other"), name="sim-other")
        job.configure(
            [pool(other.endpoints["other"], "other", lanes=[lane(quota={"concurrency": 3})])]
        )
        job.run(
            "--order", "latency", "--max-attempts", "2", "--max-error-rate", "0.5", "--threads", "1"
        )
        self.check_each_once(job, ids)
        self.assertEqual({r["spillway"]["pool"] for r in job.rows()}, {"main", "other"})
        self.assertEqual(sim.stats()["answered"] + other.stats()["answered"], 60)


if __name__ == "__main__":
    unittest.main()
