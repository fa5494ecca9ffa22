"""Prices from LiteLLM's file, and what runs cost by lane and day."""

import datetime
import json
import pathlib
import subprocess
import sys
import unittest

from support import MODEL, OK, USAGE, Case, Job, lane, pool, sim_pool, write_prompts

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
import foreign_packages  # noqa: E402  (found through the line above)

PACKAGE = "litellm==1.106.2"
LANES_A_PLAN = 500
FIELDS = {
    "litellm_provider": "openai",
    "mode": "chat",
    "input_cost_per_token": 7.5e-07,
    "output_cost_per_token": 4.5e-06,
    "supports_vision": True,
}


class PriceFile(Case):
    def setUp(self):
        super().setUp()
        self.prices = self.folder / "prices.json"
        self.prices.write_text(
            json.dumps({"sample_spec": {"input_cost_per_token": 0}, MODEL: FIELDS})
        )

    def test_a_run_is_billed_by_it(self):
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"], lanes=[lane(price=None)])], budget_usd=5)
        ids = write_prompts(job.input, 30)
        self.assertIn("price: missing", job.run(expect=USAGE).err)
        job.run("--prices", self.prices)
        self.check_each_once(job, ids)
        self.check_money(sim, job)
        self.assertGreater(sim.stats()["billed_usd"], 0)

    def test_a_cost_nobody_knows_is_null(self):
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"], lanes=[lane(price=None)])])
        ids = write_prompts(job.input, 5)
        job.run()
        self.check_each_once(job, ids)
        self.assertEqual({row["spillway"]["cost_usd"] for row in job.rows()}, {None})

    def test_the_configuration_may_name_it(self):
        sim = self.simulate()
        job = Job(self, [pool(sim.endpoints["main"], lanes=[lane(price=None)])], budget_usd=5)
        config = json.loads(job.config.read_text())
        job.config.write_text(json.dumps({**config, "prices": str(self.prices)}))
        write_prompts(job.input, 5)
        job.run()
        self.check_money(sim, job)

    def test_an_unknown_price_names_lane_and_key(self):
        job = Job(
            self,
            [pool("http://127.0.0.1:1/v1", lanes=[lane(price=None, **{"as": "gpt-nowhere"})])],
            budget_usd=5,
        )
        write_prompts(job.input, 1)
        error = job.run("--prices", self.prices, expect=USAGE).err
        self.assertIn("lane gpt-nowhere", error)
        self.assertIn(f"{self.prices} has no entry gpt-nowhere", error)

    def test_a_call_costs_what_the_tier_that_served_it_costs(self):
        dearer = {"input_cost_per_token_priority": 1.5e-06, "output_cost_per_token_priority": 9e-06}
        self.prices.write_text(json.dumps({MODEL: {**FIELDS, **dearer}}))
        sim = self.simulate(sim_pool(served_tier="default"))
        job = Job(
            self, [pool(sim.endpoints["main"], lanes=[lane(price=None, tier="priority")])],
            budget_usd=5,
        )
        ids = write_prompts(job.input, 30)
        job.run("--prices", self.prices)
        self.check_each_once(job, ids)
        self.check_money(sim, job)
        facts = [row["spillway"] for row in job.rows()]
        self.assertEqual({f["service_tier"] for f in facts}, {"default"})
        self.assertEqual({f["lane"] for f in facts}, {f"{MODEL}:priority"})

    def test_costs_stand_by_lane_and_day(self):
        sim, job, _ = self.simple_job(40)
        before = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        job.run()
        after = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        sheet = json.loads(self.command("costs", "-o", job.output, "--json", expect=OK).out)
        billed = sim.stats()["billed_usd"]
        self.assertAlmostEqual(sheet["cost_usd"], billed, places=7)
        self.assertEqual([row["lane"] for row in sheet["lanes"]], [f"main/{MODEL}"])
        self.assertEqual(sheet["lanes"][0]["answered"], 40)
        self.assertLessEqual({row["day"] for row in sheet["days"]}, {before, after})
        self.assertAlmostEqual(sum(row["cost_usd"] for row in sheet["days"]), billed, places=7)
        self.assertIn("DAY (UTC)", self.command("costs", "-o", job.output, expect=OK).out)
        self.command("costs", "-o", "nowhere.jsonl", expect=USAGE)


class RealFile(Case):
    def entries(self):
        """The file as the package brings it."""
        try:
            python = foreign_packages.interpreter(PACKAGE)
        except (foreign_packages.NotAvailable, subprocess.TimeoutExpired) as error:
            self.skipTest(f"{PACKAGE} can't be installed: {error}")
        where = subprocess.run(
            [python, "-c", "import importlib.util as u; print(u.find_spec('litellm').origin)"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        path = pathlib.Path(where).parent / "model_prices_and_context_window_backup.json"
        return path, json.loads(path.read_text())

    def test_every_entry_costs_what_it_says(self):
        path, entries = self.entries()
        suffixes = {"standard": "", "flex": "_flex", "priority": "_priority"}
        lanes, expected = [], {}
        for key, entry in entries.items():
            if key == "sample_spec" or entry.get("mode") not in ("chat", "responses", "embedding"):
                continue
            for tier, suffix in suffixes.items():
                first = entry.get("input_cost_per_token" + suffix)
                second = entry.get("output_cost_per_token" + suffix)
                if second is None and entry["mode"] == "embedding":
                    second = 0
                name = f"m{len(lanes)}"
                lanes.append(
                    lane(name, price=None, tier=tier, price_key=key, quota={"concurrency": 1})
                )
                known = first is not None and second is not None
                inputs = [
                    first,
                    entry.get("cache_read_input_token_cost" + suffix),
                    entry.get("cache_creation_input_token_cost" + suffix),
                    entry.get("cache_creation_input_token_cost_above_1hr"),
                ]
                expected[name] = (max(i for i in inputs if i is not None), second) if known else None
        self.assertGreater(sum(price is not None for price in expected.values()), 2000)
        for first in range(0, len(lanes), LANES_A_PLAN):
            self.check_some(path, lanes[first : first + LANES_A_PLAN], expected)

    def check_some(self, path, lanes, expected):
        job = Job(self, [pool("http://127.0.0.1:1/v1", "p", lanes=lanes)])
        bytes_of = {}
        with open(job.input, "w", encoding="utf-8") as file:
            for part in lanes:
                name = part["model"]
                messages = [{"role": "user", "content": "hello"}]
                body = json.dumps({"model": name, "messages": messages, "max_tokens": 1000})
                bytes_of[name] = len(body)
                file.write(
                    f'{{"custom_id":"{name}","method":"POST","url":"/v1/chat/completions",'
                    f'"body":{body}}}\n'
                )
        process = self.command(
            "plan", job.input, "-c", job.config, "--prices", path, "--json", seconds=120
        )
        for part in json.loads(process.out)["lanes"]:
            name, price = part["model"], expected[part["model"]]
            if price is None:
                self.assertNotIn("cost_max_usd", part, name)
                continue
            added = 128  # a chat's marks
            bound = (bytes_of[name] + added) * price[0] + 1000 * price[1]
            self.assertAlmostEqual(
                part["cost_max_usd"], bound, delta=2e-9 + bound * 1e-6, msg=str(part)
            )


if __name__ == "__main__":
    unittest.main()
