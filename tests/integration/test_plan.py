"""`spillway plan` against what a run then does, and that a plan sends nothing."""

import json
import unittest

from support import (
    ERROR_ROWS,
    MODEL,
    OK,
    USAGE,
    Case,
    Job,
    lane,
    pool,
    prompt,
    sim_pool,
    write_prompts,
)


class Plan(Case):
    def plan(self, job, *flags, expect=OK):
        process = self.command("plan", job.input, "-c", job.config, "--json", *flags, expect=expect)
        return json.loads(process.out)

    def two_pools(self):
        sim = self.simulate(sim_pool("a"), sim_pool("b"))
        pools = [
            pool(sim.endpoints["a"], "a", lanes=[lane(quota={"rpm": 600, "concurrency": 50})]),
            pool(sim.endpoints["b"], "b", lanes=[lane(quota={"rpm": 1800, "concurrency": 50})]),
        ]
        return sim, Job(self, pools)

    def test_time_split_and_cost_are_what_the_run_comes_to(self):
        sim, job = self.two_pools()
        write_prompts(job.input, 240)
        plan = self.plan(job, "--output-tokens", "20", "--latency", "5ms")
        self.assertEqual(sim.stats()["requests"], 0, "nothing is sent")
        self.assertEqual((plan["prompts"], plan["taken"], plan["bad_lines"]), (240, 240, 0))
        self.assertAlmostEqual(plan["finish_s"], 240 / 40, delta=0.1)
        split = {part["pool"]: part["split_prompts"] for part in plan["lanes"]}
        self.assertEqual(sum(split.values()), 240)
        self.assertAlmostEqual(split["a"], 60, delta=2)
        self.assertAlmostEqual(plan["lanes"][0]["alone_s"], 24, delta=0.1)
        self.assertAlmostEqual(plan["lanes"][1]["alone_s"], 8, delta=0.1)
        run = job.run("--json").summary()
        self.assertAlmostEqual(run["elapsed_s"], plan["finish_s"], delta=2.5)
        went = {part["pool"]: part["answered"] for part in run["lanes"]}
        self.assertAlmostEqual(went["a"], split["a"], delta=12)
        self.assertLessEqual(run["cost_usd"], plan["cost_max_usd"])
        self.assertGreater(plan["cost_max_usd"], plan["cost_usd"])

    def test_a_dry_run_is_a_plan(self):
        sim, job = self.two_pools()
        write_prompts(job.input, 20)
        process = job.run("--dry-run", "--json")
        dry, plan = json.loads(process.out), self.plan(job)
        for key in ("prompts", "taken", "models", "cost_usd", "cost_max_usd"):
            self.assertEqual(dry[key], plan[key])
        self.assertEqual(sim.stats()["requests"], 0)
        self.assertFalse(job.output.exists() or job.state.exists(), "nothing is written")

    def test_lanes_that_take_nothing_say_why(self):
        sim = self.simulate(sim_pool("a"), sim_pool("b"))
        job = Job(
            self,
            [
                pool(sim.endpoints["a"], "a", residency=["us"]),
                pool(sim.endpoints["b"], "b", lanes=[lane(), lane("other-model")]),
            ],
            residency=["us", "eu"],
        )
        write_prompts(job.input, 10)
        plan = self.plan(job)
        by_lane = {(part["pool"], part["lane"]): part for part in plan["lanes"]}
        self.assertEqual(by_lane["a", MODEL]["eligible"], 10)
        self.assertEqual(by_lane["b", MODEL]["refused"], {"residency": 10})
        self.assertEqual(by_lane["b", "other-model"]["eligible"], 0)
        refused = self.plan(job, "--residency", "eu", expect=ERROR_ROWS)
        self.assertEqual((refused["taken"], refused["prompts"]), (0, 10))
        self.assertEqual(refused["models"][0]["refused"], {"residency": 10})

    def test_bad_lines_are_listed_and_counted(self):
        _, job = self.two_pools()
        good = [json.dumps(prompt(f"p-{i}")) for i in range(3)]
        bad = ["{", json.dumps({"custom_id": "x"}), good[0]]
        job.input.write_text("\n".join(good + bad) + "\n")
        plan = self.plan(job, expect=ERROR_ROWS)
        self.assertEqual(plan["bad_lines"], 3)
        self.assertEqual(len(plan["bad_shown"]), 3)
        self.assertTrue(plan["bad_shown"][0].startswith(f"{job.input}:4: "), plan["bad_shown"])
        text = self.command("plan", job.input, "-c", job.config, expect=ERROR_ROWS).out
        self.assertIn("3 bad lines", text)
        self.assertIn("duplicate_custom_id", text)

    def test_a_budget_is_judged(self):
        _, job = self.two_pools()
        write_prompts(job.input, 50)
        enough = self.command("plan", job.input, "-c", job.config, "--budget", "5").out
        self.assertIn("enough whatever happens", enough)
        short = self.command("plan", job.input, "-c", job.config, "--budget", "0.0001").out
        self.assertIn("not enough", short)
        unpriced = Job(self, [pool("http://127.0.0.1:1/v1", lanes=[lane(price=None)])], name="u")
        process = self.command("plan", job.input, "-c", unpriced.config, "--budget", "1")
        self.assertEqual(process.code, USAGE)
        self.assertIn("price: missing", process.err)

    def test_what_a_budget_does_not_allow_is_foretold(self):
        _, job = self.two_pools()
        line = prompt("searches")
        line["body"]["web_search_options"] = {}
        job.input.write_text(json.dumps(line) + "\n")
        self.assertEqual(self.plan(job)["taken"], 1)
        capped = self.plan(job, "--budget", "5", expect=ERROR_ROWS)
        self.assertEqual(capped["models"][0]["refused"], {"unbounded_input": 1})

    def test_no_such_file_and_no_such_model(self):
        _, job = self.two_pools()
        self.command("plan", "nowhere.jsonl", "-c", job.config, expect=USAGE)
        write_prompts(job.input, 2, model="gpt-unknown")
        plan = self.plan(job, expect=ERROR_ROWS)
        self.assertEqual(plan["models"][0]["refused"], {"no lane offers the model": 2})


if __name__ == "__main__":
    unittest.main()
