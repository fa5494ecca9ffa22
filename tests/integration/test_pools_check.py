"""`spillway pools check`: what it finds, what it says to do, and that nothing is billed."""

import json
import unittest

from support import MODEL, OK, USAGE, Case, Job, lane, pool, refused_port, sim_pool


class PoolsCheck(Case):
    def check(self, pools, *flags, expect=OK, env=None):
        job = Job(self, pools)
        process = self.command(
            "pools", "check", "-c", job.config, "--json", *flags, expect=expect, env=env
        )
        return [json.loads(line) for line in process.out.splitlines()]

    def found(self, lines, pool_name, check):
        return [line for line in lines if line["pool"] == pool_name and line["check"] == check]

    def test_pools_that_work(self):
        sim = self.simulate(
            sim_pool("a"), sim_pool("b", "azure-openai"), sim_pool("c", "openai-compatible")
        )
        pools = [
            pool(sim.endpoints["a"], "a"),
            pool(sim.endpoints["b"], "b", "azure-openai"),
            pool(sim.endpoints["c"], "c", "openai-compatible"),
        ]
        lines = self.check(pools)
        self.assertEqual([line for line in lines if line["result"] == "problem"], [])
        for name in ("a", "b", "c"):
            self.assertEqual([f["result"] for f in self.found(lines, name, "reachable")], ["ok"])
            self.assertEqual([f["result"] for f in self.found(lines, name, "clock")], ["ok"])
        self.assertEqual(self.found(lines, "a", "model")[0]["result"], "ok")
        stats = sim.stats()
        self.assertEqual((stats["answered"], stats["billed_usd"]), (0, 0), "nothing is billed")

    def test_every_problem_has_a_remedy(self):
        sim = self.simulate(sim_pool("main"))
        with refused_port() as port:
            lines = self.check(
                [
                    pool(sim.endpoints["main"], "key", auth={"api_key": "env:WRONG_KEY"}),
                    pool(sim.endpoints["main"], "model", lanes=[lane("gpt-elsewhere")]),
                    pool(f"http://127.0.0.1:{port}/v1", "gone"),
                    pool("http://no-such-host.invalid/v1", "name", "openai-compatible", auth=None),
                    pool(sim.endpoints["main"], "unset", auth={"api_key": "env:NOT_SET"}),
                ],
                expect=USAGE,
                env={"WRONG_KEY": "not-the-key"},
            )
        problems = {
            (line["pool"], line["check"]) for line in lines if line["result"] == "problem"
        }
        self.assertEqual(
            problems,
            {
                ("key", "credentials"),
                ("model", "model"),
                ("gone", "reachable"),
                ("name", "reachable"),
                ("unset", "credentials"),
            },
        )
        for line in lines:
            if line["result"] != "ok":
                self.assertTrue(line["remedy"], line)
        text = json.dumps(lines)
        self.assertNotIn("not-the-key", text)
        self.assertIn(MODEL, self.found(lines, "model", "model")[0]["detail"], "what there is")

    def test_send_proves_each_lane(self):
        sim = self.simulate(sim_pool("main"))
        lines = self.check([pool(sim.endpoints["main"])], "--send")
        sent = self.found(lines, "main", "prompt")
        self.assertEqual([(f["lane"], f["result"]) for f in sent], [(MODEL, "ok")])
        self.assertIn("tokens in", sent[0]["detail"])
        self.assertEqual(sim.stats()["answered"], 1)

    def test_the_table_says_it_in_words(self):
        sim = self.simulate(sim_pool("main"))
        job = Job(self, [pool(sim.endpoints["main"], lanes=[lane("gpt-elsewhere")])])
        process = self.command("pools", "check", "-c", job.config, expect=USAGE)
        self.assertIn("main/gpt-elsewhere", process.out)
        self.assertIn("-> correct the lane's `as`", process.out)
        self.assertIn("1 problems", process.out)


if __name__ == "__main__":
    unittest.main()
