"""Several pools: spill-over under quotas, preferred lanes, residency, pools that are not there."""

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
    refused_port,
    sim_pool,
    write_prompts,
)


class SpillOver(Case):
    def three_pools(self):
        """Small quotas of three clouds; the same figures for the simulator and the run."""
        quotas = {
            "first": {"rpm": 900, "tpm": 200_000, "concurrency": 20},
            "second": {"rpm": 600, "tpm": 200_000, "concurrency": 20},
            "third": {"rpm": 480, "tpm": 200_000, "concurrency": 20},
        }
        providers = {"first": "openai", "second": "azure-openai", "third": "openai-compatible"}
        price = {"first": 0.5, "second": 0.75, "third": 1.0}
        prices = {n: {"input": p, "output": 4 * p} for n, p in price.items()}
        sim = self.simulate(
            *[sim_pool(n, providers[n], quota=quotas[n], price=prices[n]) for n in quotas]
        )
        return sim, [
            pool(sim.endpoints[n], n, providers[n], [lane(quota=quotas[n], price=prices[n])])
            for n in quotas
        ]

    def test_prompts_spill_when_quotas_are_used_up_and_no_quota_is_exceeded(self):
        sim, pools = self.three_pools()
        job = Job(self, pools)
        ids = write_prompts(job.input, 240)
        process = job.run("--json")
        self.check_each_once(job, ids)
        self.check_money(sim, job)
        stats = sim.stats()
        for name, counts in stats["pools"].items():
            self.assertGreater(counts["answered"], 20, name)
        self.assertEqual(stats["quota_violations"], 0)
        self.assertEqual(stats["repeated_ids"], 0)
        self.assertLessEqual(stats["refused_429"], 0.02 * stats["requests"])
        lanes = {x["pool"]: x for x in process.summary()["lanes"]}
        self.assertGreater(lanes["first"]["spilled_out"], 0)
        self.assertGreater(lanes["second"]["spilled_in"], 0)
        self.assertEqual(
            sum(x["spilled_in"] for x in lanes.values()),
            sum(x["spilled_out"] for x in lanes.values()),
        )
        for name, counts in stats["pools"].items():
            self.assertEqual(lanes[name]["answered"], counts["answered"])
        # 240 prompts at 33 a second together: no lane waited for another.
        self.assertLess(process.summary()["elapsed_s"], 12)

    def test_without_pressure_the_first_choice_takes_all(self):
        sim = self.simulate(sim_pool("dear"), sim_pool("cheap"))
        pools = [
            pool(sim.endpoints["dear"], "dear", lanes=[lane(price={"input": 2, "output": 8})]),
            pool(sim.endpoints["cheap"], "cheap", lanes=[lane(price={"input": 1, "output": 4})]),
        ]
        for order, expected in (("cost", "cheap"), ("as-listed", "dear")):
            job = Job(self, pools, name=order)
            ids = write_prompts(job.input, 15, order)  # fewer than the concurrency
            job.run("--order", order)
            self.check_each_once(job, ids)
            self.assertEqual({r["spillway"]["pool"] for r in job.rows()}, {expected})

    def test_latency_order_prefers_the_faster_pool(self):
        sim = self.simulate(sim_pool("slow", latency="2s"), sim_pool("fast", latency="5ms"))
        few = lane(quota={"concurrency": 4})
        job = Job(
            self,
            [
                pool(sim.endpoints["slow"], "slow", lanes=[few]),
                pool(sim.endpoints["fast"], "fast", lanes=[few]),
            ],
            order="latency",
        )
        ids = write_prompts(job.input, 400)
        job.run()
        self.check_each_once(job, ids)
        stats = sim.stats()["pools"]
        self.assertGreater(stats["fast"]["answered"], 5 * stats["slow"]["answered"])

    def test_refusals_of_an_undeclared_quota_are_waited_for(self):
        sim = self.simulate(sim_pool(quota={"rpm": 1200, "burst": "500ms"}))
        job = Job(self, [pool(sim.endpoints["main"])])
        ids = write_prompts(job.input, 60)
        process = job.run("--json")
        self.check_each_once(job, ids)
        self.assertGreater(sim.stats()["refused_429"], 0)
        self.assertEqual(process.summary()["lanes"][0]["refused_429"], sim.stats()["refused_429"])
        self.assertEqual({r["spillway"]["maybe_billed"] for r in job.rows()}, {0})
        self.check_money(sim, job)

    def test_a_quota_cut_in_the_middle_moves_the_work(self):
        sim = self.simulate(
            sim_pool(
                "cut",
                quota={"rpm": 3000, "burst": "1s"},
                faults=[{"kind": "quota", "from": "1s", "to": "600s", "factor": 0.02}],
            ),
            sim_pool("other", price={"input": 1, "output": 6}),
        )
        job = Job(
            self,
            [
                pool(
                    sim.endpoints["cut"],
                    "cut",
                    lanes=[lane(quota={"rpm": 3000, "concurrency": 16})],
                ),
                pool(
                    sim.endpoints["other"],
                    "other",
                    lanes=[
                        lane(
                            quota={"rpm": 1200, "concurrency": 16}, price={"input": 1, "output": 6}
                        )
                    ],
                ),
            ],
        )
        ids = write_prompts(job.input, 160)
        job.run()
        self.check_each_once(job, ids)
        self.check_money(sim, job)
        self.assertGreater(sim.stats()["pools"]["other"]["answered"], 40)


class DeadPool(Case):
    def test_alone_the_run_stops_resumable_and_goes_on_later(self):
        with refused_port() as port:
            job = Job(self, [pool(f"http://127.0.0.1:{port}/v1")], stall_timeout="1s")
            ids = write_prompts(job.input, 20)
            process = job.run(expect=STOPPED)
        self.assertIn("stall_timeout", process.err)
        self.assertLess(job.status()["elapsed_s"], 4)
        self.assertIn(MODEL, process.err)
        self.assertIn("Go on with the same command", process.err)
        self.assertEqual((job.rows(), job.error_rows()), ([], []), "nobody lost a prompt")
        sim = self.simulate()
        job.configure([pool(sim.endpoints["main"])])
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual({r["spillway"]["maybe_billed"] for r in job.rows()}, {0})
        self.check_money(sim, job)

    def test_with_a_healthy_one_everything_is_answered(self):
        sim = self.simulate()
        with refused_port() as port:
            job = Job(
                self,
                [pool(f"http://127.0.0.1:{port}/v1", "dead"), pool(sim.endpoints["main"])],
                order="as-listed",
            )
            ids = write_prompts(job.input, 300)
            process = job.run("--json", expect=OK)
        self.check_each_once(job, ids)
        self.check_money(sim, job)
        lanes = {x["pool"]: x for x in process.summary()["lanes"]}
        self.assertEqual((lanes["dead"]["answered"], lanes["main"]["answered"]), (0, 300))
        self.assertEqual(sim.stats()["repeated_ids"], 0)

    def test_a_name_that_does_not_resolve(self):
        job = Job(self, [pool("https://no-such-host.invalid/v1")], stall_timeout="1s")
        write_prompts(job.input, 3)
        process = job.run("--json", expect=STOPPED)
        self.assertIn("stall_timeout", process.summary()["stop_reason"])
        self.assertEqual(job.rows() + job.error_rows(), [])


class Residency(Case):
    def setUp(self):
        super().setUp()
        self.sim = self.simulate(sim_pool("eu"), sim_pool("us"), sim_pool("anywhere"))

    def pools(self, **residency):
        return [
            pool(
                self.sim.endpoints[n],
                n,
                residency=residency.get(n),
                lanes=[lane(quota={"concurrency": 4})],
            )
            for n in ("us", "anywhere", "eu")
        ]

    def reached(self):
        return {n for n, c in self.sim.stats()["pools"].items() if c["requests"] > 0}

    def test_restricted_prompts_stay_inside(self):
        job = Job(self, self.pools(eu=["eu"], us=["us"]), residency=["eu"])
        ids = write_prompts(job.input, 200)
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual(self.reached(), {"eu"})

    def test_a_lane_must_lie_inside_as_a_whole(self):
        job = Job(self, self.pools(eu=["eu", "us"], us=["us"]))
        ids = write_prompts(job.input, 50)
        job.run("--residency", "eu", expect=ERROR_ROWS)
        self.check_each_once(job, ids, failed=ids)
        self.assertEqual({r["error"]["code"] for r in job.error_rows()}, {"no_eligible_lane"})
        self.assertEqual(self.reached(), set())

    def test_undeclared_residency_fails_closed(self):
        job = Job(self, self.pools(), residency=["eu", "us"])
        ids = write_prompts(job.input, 20)
        process = job.run(expect=ERROR_ROWS)
        self.check_each_once(job, ids, failed=ids)
        self.assertIn("residency", job.error_rows()[0]["error"]["message"])
        self.assertEqual(self.reached(), set())

    def test_a_lane_overrides_its_pool(self):
        pools = [
            pool(self.sim.endpoints["us"], "us", residency=["eu"], lanes=[lane(residency=["us"])]),
            pool(self.sim.endpoints["eu"], "eu", residency=["us"], lanes=[lane(residency=["eu"])]),
        ]
        job = Job(self, pools, residency=["eu"])
        ids = write_prompts(job.input, 40)
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual(self.reached(), {"eu"})

    def test_two_allowed_places_are_both_used(self):
        job = Job(self, self.pools(eu=["eu"], us=["us"]))
        ids = write_prompts(job.input, 200)
        job.run("--residency", "eu,us")
        self.check_each_once(job, ids)
        self.assertEqual(self.reached(), {"eu", "us"})

    def test_it_may_be_narrowed_but_not_widened_by_a_resume(self):
        pools = self.pools(eu=["eu"], us=["us"])
        job = Job(self, pools, budget_usd=0.0005)
        ids = write_prompts(job.input, 40)
        job.run("--residency", "eu", expect=STOPPED)
        for flags in (["--residency", "eu,us"], ["--residency", "us"], []):
            process = job.run(*flags, "--budget", "1", expect=USAGE)
            self.assertIn("residency", process.err)
        job.run("--residency", "eu", "--budget", "1")
        self.check_each_once(job, ids)
        self.assertEqual(self.reached(), {"eu"})


class Policy(Case):
    """Which lanes a job may use, by names and by what they declare; and the audit log of it."""

    def setUp(self):
        super().setUp()
        self.sim = self.simulate(*[sim_pool(name=n) for n in ("one", "two", "three")])
        self.pools = [
            pool(self.sim.endpoints["one"], "one", region="r-1", data_classes=["no-train"],
                 lanes=[lane(quota={"concurrency": 4})]),
            pool(self.sim.endpoints["two"], "two", region="r-2",
                 lanes=[lane(quota={"concurrency": 4}, data_classes=["no-train", "on-prem-only"])]),
            pool(self.sim.endpoints["three"], "three", lanes=[lane(quota={"concurrency": 4})]),
        ]

    def reached(self):
        return {n for n, c in self.sim.stats()["pools"].items() if c["requests"] > 0}

    def run_with(self, *flags, name="job", **policy):
        job = Job(self, self.pools, name=name)
        job.config.write_text(json.dumps({"pools": self.pools, "job": policy}))
        ids = write_prompts(job.input, 60)
        job.run(*flags)
        self.check_each_once(job, ids)
        return {r["spillway"]["pool"] for r in job.rows()}

    def test_names_and_declarations_restrict(self):
        for number, (flags, policy, expected) in enumerate((
            ([], {"pools": ["one", "three"]}, {"one", "three"}),
            ([], {"deny_pools": ["one"]}, {"two", "three"}),
            (["--deny-lanes", "one,two"], {}, {"three"}),
            ([], {"regions": ["r-1", "r-2"]}, {"one", "two"}),
            ([], {"data_classes": ["no-train"]}, {"one", "two"}),
            (["--data-classes", "no-train,on-prem-only"], {}, {"two"}),
        )):
            used = self.run_with(*flags, name=f"job-{number}", **policy)
            self.assertEqual(used, expected, (flags, policy))

    def test_names_that_stand_for_nothing_are_refused(self):
        job = Job(self, self.pools)
        write_prompts(job.input, 1)
        process = job.run("--deny-pools", "for", expect=USAGE)
        self.assertIn("deny_pools", process.err)
        self.assertEqual(self.reached(), set())

    def test_an_alias_stands_for_a_model(self):
        job = Job(self, self.pools, models={"fast": lane()["model"]})
        job.input.write_text(json.dumps({
            "custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "fast", "max_tokens": 10,
                     "messages": [{"role": "user", "content": "hello"}]}}) + "\n")
        job.run()
        self.assertEqual(job.rows()[0]["spillway"]["model"], lane()["model"])

    def test_the_audit_log_says_what_was_allowed_and_done(self):
        log = self.folder / "audit.jsonl"
        log.write_text("before\n")
        self.run_with("--audit", log, data_classes=["no-train"])
        lines = log.read_text().splitlines()
        self.assertEqual(lines[0], "before", "only appended to")
        events = [json.loads(line) for line in lines[1:]]
        self.assertEqual([e["event"] for e in events], ["job_started", "job_ended"])
        start, end = events
        self.assertEqual(start["policy"]["data_classes"], ["no-train"])
        lanes = {p["pool"]: p for p in start["models"][lane()["model"]]}
        self.assertTrue(lanes["one"]["eligible"])
        self.assertEqual(lanes["three"]["refused"], "data-class")
        self.assertEqual((end["how"], end["answered"]), ("finished", 60))
        self.assertEqual(sum(p["answered"] for p in end["lanes"]), 60)
        self.assertEqual(
            [(r["pool"], r["refused"], r["prompts"]) for r in end["refused_routes"]],
            [("three", "data-class", 60)],
        )
        self.assertNotIn("messages", log.read_text())


if __name__ == "__main__":
    unittest.main()
