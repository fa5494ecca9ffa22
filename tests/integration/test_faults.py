"""Providers that misbehave: errors, silence, cut answers, outages, missing models, wrong keys."""

import json
import unittest

from support import (
    ERROR_ROWS,
    MODEL,
    OK,
    STOPPED,
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


class Transient(Case):
    def check_survives(self, faults, count=300, lane_changes=None, **policy):
        sim, job, ids = self.simple_job(
            count, {"faults": faults}, lane_changes, max_attempts=20, **policy
        )
        process = job.run("--json", expect=OK)
        self.check_each_once(job, ids)
        return sim, job, process.summary()

    def test_server_errors(self):
        sim, job, _ = self.check_survives(
            [
                {"kind": "error", "share": 0.1, "status": 500},
                {"kind": "error", "share": 0.1, "status": 503},
            ]
        )
        self.assertGreater(sim.stats()["failed_5xx"], 20)
        self.assertGreater(max(r["spillway"]["attempts"] for r in job.rows()), 1)
        self.assertEqual({r["spillway"]["maybe_billed"] for r in job.rows()}, {0})
        self.check_money(sim, job)

    def test_refusals_out_of_the_blue(self):
        sim, job, _ = self.check_survives(
            [{"kind": "error", "share": 0.05, "status": 429, "retry_after": "50ms"}]
        )
        self.assertGreater(sim.stats()["refused_429"], 3)
        self.check_money(sim, job)

    def test_answers_cut_in_the_middle_are_in_doubt_and_sent_again(self):
        sim, job, summary = self.check_survives([{"kind": "reset", "share": 0.1}])
        self.assertGreater(sim.stats()["dropped"], 10)
        self.assertEqual(
            sum(r["spillway"]["maybe_billed"] for r in job.rows()), sim.stats()["dropped"]
        )
        self.assertEqual(summary["lanes"][0]["maybe_billed"], sim.stats()["dropped"])
        self.assertGreaterEqual(summary["cost_usd"] + 1e-9, sim.stats()["billed_usd"])

    def test_calls_never_answered_end_with_the_timeout_of_the_lane(self):
        sim, job, summary = self.check_survives(
            [{"kind": "hang", "share": 0.05}], count=150, lane_changes={"timeout": "500ms"}
        )
        self.assertGreater(sim.stats()["dropped"], 2)
        self.assertEqual(summary["lanes"][0]["maybe_billed"], sim.stats()["dropped"])

    def check_outage(self, counter, **how):
        """Two seconds from the first call that `counter` counts."""
        down = {"kind": "down", **how}
        sim, job, ids = self.simple_job(50, {"faults": [down]}, max_attempts=20)
        process = job.start()
        sim.wait_for(lambda s: s[counter] > 0, "it is felt")
        sim.control(pool="main", faults=[{**down, "to": "2s"}])
        self.assertEqual(process.wait(), OK, process.err[-3000:])
        self.check_each_once(job, ids)
        # Nobody hammers a pool that is down.
        self.assertLess(sim.stats()["requests"], 150)

    def test_an_outage_is_waited_for(self):
        self.check_outage("failed_5xx")

    def test_an_outage_with_closed_connections(self):
        self.check_outage("dropped", close=True)

    def test_during_an_outage_another_pool_takes_over(self):
        sim = self.simulate(
            sim_pool("down", faults=[{"kind": "down", "from": "0s", "to": "600s"}]), sim_pool("up")
        )
        job = Job(self, [pool(sim.endpoints[n], n) for n in ("down", "up")], order="as-listed")
        ids = write_prompts(job.input, 300)
        process = job.run("--json")
        self.check_each_once(job, ids)
        self.assertEqual({r["spillway"]["pool"] for r in job.rows()}, {"up"})
        self.assertLess(sim.stats()["pools"]["down"]["requests"], 60)
        self.assertLess(process.summary()["elapsed_s"], 15)

    def test_everything_at_once(self):
        faults = [
            {"kind": "error", "share": 0.04, "status": 500},
            {"kind": "reset", "share": 0.03},
            {"kind": "hang", "share": 0.01},
            {"kind": "error", "share": 0.02, "status": 429, "retry_after": "20ms"},
        ]
        sim = self.simulate(
            sim_pool("a", faults=faults),
            sim_pool("b", "azure-openai", faults=faults),
            sim_pool("c", "openai-compatible", faults=faults),
        )
        providers = {"a": "openai", "b": "azure-openai", "c": "openai-compatible"}
        job = Job(
            self,
            [
                pool(sim.endpoints[n], n, p, [lane(timeout="700ms", quota={"concurrency": 8})])
                for n, p in providers.items()
            ],
            max_attempts=20,
            budget_usd=1,
        )
        ids = write_prompts(job.input, 500)
        process = job.run("--json", seconds=120)
        self.check_each_once(job, ids)
        stats = sim.stats()
        self.assertEqual(sum(r["spillway"]["maybe_billed"] for r in job.rows()), stats["dropped"])
        self.assertGreaterEqual(process.summary()["cost_usd"] + 1e-9, stats["billed_usd"])


class Permanent(Case):
    def test_a_refused_prompt_becomes_an_error_row_with_the_providers_words(self):
        sim, job, ids = self.simple_job(
            100,
            {
                "faults": [
                    {
                        "kind": "error",
                        "share": 0.2,
                        "status": 400,
                        "by": "prompt",
                        "code": "content_filter",
                        "message": "The response was filtered.",
                    }
                ]
            },
        )
        job.run(expect=ERROR_ROWS)
        errors = job.error_rows()
        self.check_each_once(job, ids, {r["custom_id"] for r in errors})
        self.assertGreater(len(errors), 5)
        for row in errors:
            self.assertEqual(row["error"]["code"], "content_filter")
            self.assertIn("The response was filtered.", row["error"]["message"])
            self.assertEqual(row["spillway"]["attempts"], 1)
        self.assertEqual(sim.stats()["requests"], 100)
        self.check_money(sim, job)

    def test_a_prompt_too_large_for_one_pool_spills_to_a_larger_one(self):
        sim = self.simulate(
            sim_pool("small", quota={"tpm": 300}), sim_pool("large", quota={"tpm": 1_000_000})
        )
        job = Job(
            self,
            [
                pool(sim.endpoints["small"], "small", lanes=[lane(quota={"concurrency": 4})]),
                pool(sim.endpoints["large"], "large", lanes=[lane(quota={"concurrency": 4})]),
            ],
            order="as-listed",
        )
        big = prompt("big")
        big["body"]["messages"][1]["content"] += " and more" * 1000
        job.input.write_text(json.dumps(prompt("little")) + "\n" + json.dumps(big) + "\n")
        job.run()
        self.check_each_once(job, ["little", "big"])
        self.assertEqual(
            {r["custom_id"]: r["spillway"]["pool"] for r in job.rows()}["big"], "large"
        )


class LaneDown(Case):
    def test_a_wrong_key_stops_the_lane_not_the_prompts(self):
        sim, job, ids = self.simple_job(40, stall_timeout="1s")
        process = job.run("--json", expect=STOPPED, env={"SIM_KEY": "not-the-right-key-77"})
        summary = process.summary()
        self.assertIn("stall_timeout", summary["stop_reason"])
        self.assertLess(summary["elapsed_s"], 8)
        [one] = summary["lanes"]
        self.assertEqual(one["health"], "down-auth")
        self.assertTrue(one["reason"])
        self.assertEqual(job.rows() + job.error_rows(), [])
        self.assertLessEqual(sim.stats()["requests"], 2 * 16, "a lane that is down is left alone")
        self.assertNotIn("not-the-right-key-77", process.out + process.err)
        job.run()
        self.check_each_once(job, ids)

    def test_a_wrong_key_is_told_to_the_user(self):
        _, job, _ = self.simple_job(5, stall_timeout="1s")
        process = job.run(expect=STOPPED, env={"SIM_KEY": "wrong"})
        self.assertRegex(process.err + process.out, r"(?i)(api.?key|auth)")

    def test_with_a_wrong_key_in_one_pool_the_other_answers(self):
        for provider in ("openai", "azure-openai", "openai-compatible"):
            sim = self.simulate(sim_pool("bad", provider), sim_pool("good"), name="sim-" + provider)
            job = Job(
                self,
                [
                    pool(sim.endpoints["bad"], "bad", provider, auth={"api_key": "env:BAD_KEY"}),
                    pool(sim.endpoints["good"], "good"),
                ],
                name=provider,
                order="as-listed",
            )
            ids = write_prompts(job.input, 100)
            process = job.run("--json", env={"BAD_KEY": "wrong"})
            self.check_each_once(job, ids)
            lanes = {x["pool"]: x for x in process.summary()["lanes"]}
            self.assertEqual(lanes["bad"]["health"], "down-auth")
            self.assertEqual({r["spillway"]["pool"] for r in job.rows()}, {"good"})

    def test_spent_credit_stops_the_pool(self):
        sim = self.simulate(
            sim_pool(
                "poor",
                faults=[
                    {
                        "kind": "error",
                        "status": 429,
                        "code": "insufficient_quota",
                        "message": "You exceeded your current quota",
                    }
                ],
            ),
            sim_pool("rich"),
        )
        job = Job(self, [pool(sim.endpoints[n], n) for n in ("poor", "rich")], order="as-listed")
        ids = write_prompts(job.input, 100)
        process = job.run("--json")
        self.check_each_once(job, ids)
        lanes = {x["pool"]: x for x in process.summary()["lanes"]}
        self.assertEqual(lanes["poor"]["health"], "down-billing")

    def test_a_missing_model_stops_its_lane_until_it_is_there(self):
        sim = self.simulate(
            sim_pool(
                "main",
                models=[MODEL, "gpt-6-sol"],
                faults=[{"kind": "missing-model", "model": MODEL}],
            )
        )
        job = Job(self, [pool(sim.endpoints["main"], lanes=[lane(), lane("gpt-6-sol")])])
        ids = write_prompts(job.input, 20, "missing")
        text = job.input.read_text()
        more = write_prompts(job.input, 20, "there", model="gpt-6-sol")
        job.input.write_text(text + job.input.read_text())
        process = job.start("--json")
        wait_until(lambda: "down-model" in process.health("main", MODEL), "the lane is down")
        sim.wait_for(lambda s: s["answered"] == 20, "the other lane goes on")
        sim.release()
        self.assertEqual(process.wait(), OK, process.err[-3000:])
        self.check_each_once(job, ids + more)
        by_time = sorted(job.rows(), key=lambda r: r["spillway"]["done_at"])
        self.assertEqual({r["spillway"]["model"] for r in by_time[:20]}, {"gpt-6-sol"})

    def test_a_model_missing_in_one_pool_is_answered_by_another(self):
        sim = self.simulate(sim_pool("without", "azure-openai", models=["other"]), sim_pool("with"))
        job = Job(
            self,
            [
                pool(sim.endpoints["without"], "without", "azure-openai"),
                pool(sim.endpoints["with"], "with"),
            ],
            order="as-listed",
        )
        ids = write_prompts(job.input, 100)
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual({r["spillway"]["pool"] for r in job.rows()}, {"with"})


class InDoubt(Case):
    def test_hold_makes_error_rows_instead_of_a_second_call(self):
        sim, job, ids = self.simple_job(
            200, {"faults": [{"kind": "reset", "share": 0.1}]}, in_doubt="hold"
        )
        job.run(expect=ERROR_ROWS)
        errors = job.error_rows()
        self.check_each_once(job, ids, {r["custom_id"] for r in errors})
        self.assertEqual({r["error"]["code"] for r in errors}, {"in_doubt"})
        self.assertEqual({r["spillway"]["maybe_billed"] for r in errors}, {1})
        self.assertEqual(len(errors), sim.stats()["dropped"])
        self.assertEqual(sim.stats()["repeated_ids"], 0)

    def test_hold_after_a_kill(self):
        sim, job, ids = self.simple_job(200, {"faults": held(0.05)})
        process = job.start("--in-doubt", "hold", "--quiet")
        sim.wait_for(lambda s: s["answered"] >= 40 and s["in_flight"] > 0, "40 answers")
        process.kill()
        sim.release()
        process = job.run("--in-doubt", "hold", "--json", expect=ERROR_ROWS)
        errors = job.error_rows()
        self.assertEqual({r["error"]["code"] for r in errors}, {"in_doubt"})
        self.check_each_once(job, ids, {r["custom_id"] for r in errors})
        self.assertEqual(len(errors), process.summary()["in_doubt_at_start"])
        self.assertEqual(sim.stats()["repeated_ids"], 0)
        # Held is final: nothing more happens to them.
        job.run("--in-doubt", "hold", expect=ERROR_ROWS)
        self.assertEqual(len(job.error_rows()), len(errors))


if __name__ == "__main__":
    unittest.main()
