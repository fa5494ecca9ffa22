"""A pool of one's own that is real: llama.cpp's server with tiny weights, beside simulated clouds."""

import json
import re
import unittest

from foreign_support import SUPPORT, ForeignServer, ask, foreign_packages
from support import (
    ERROR_ROWS,
    OK,
    STOPPED,
    Case,
    Job,
    answer_text,
    lane,
    pool,
    prompt,
    questions,
    sim_pool,
)

PACKAGES = ("xllamacpp==2026.10.11549", "gguf==0.19.0", "tokenizers==0.23.3")
ENGINE_KEY = "engine-key-9b1f30"
SLOTS, SLOT_TOKENS = 4, 2048
MODEL = "gpt-5.4-mini"


class Engine(ForeignServer):
    def __init__(self, case):
        python = foreign_packages.interpreter(*PACKAGES)
        model = foreign_packages.tools_folder() / "tiny-model.gguf"
        with foreign_packages.locked(model.with_suffix(".lock")):
            if not model.exists():
                made = ForeignServer(
                    case, "tiny-model", [python, SUPPORT / "tiny_model.py", case.folder / "made"]
                )
                case.assertEqual(made.process.wait(120), 0, made.said())
                (case.folder / "made").replace(model)
        super().__init__(
            case,
            "engine",
            [python, SUPPORT / "llama_server.py", model, MODEL, ENGINE_KEY, SLOTS, SLOT_TOKENS],
        )
        self.url = self.first_line("the engine's address")
        self.wait_for(lambda: self.get("/health")[0] == 200, "the engine answers")

    def get(self, path):
        return ask(self.url + path, headers={"Authorization": "Bearer " + ENGINE_KEY}) or (0, "")

    def counters(self):
        """What the engine counted itself."""
        text = self.get("/metrics")[1]
        return {m[1]: float(m[2]) for m in re.finditer(r"^llamacpp:(\w+) (\S+)$", text, re.M)}

    def pool(self, **changes):
        own = lane(
            tier="self-hosted",
            quota={"concurrency": 2 * SLOTS},
            price={"input": 0.0, "output": 0.0},
            timeout="60s",
        )
        return pool(
            self.url + "/v1",
            "onprem",
            "openai-compatible",
            [own],
            **{"auth": {"api_key": "env:ENGINE_KEY"}, **changes},
        )


class RealEngine(Case):
    def setUp(self):
        super().setUp()
        self.engine = Engine(self)

    def job(self, pools, **policy):
        return Job(self, pools, **policy)

    def write(self, job, texts, **extra):
        ids = [f"q-{number}" for number in range(len(texts))]
        rows = [prompt(custom_id, **extra) for custom_id in ids]
        for row, text in zip(rows, texts):
            row["body"]["messages"][1]["content"] = f"{text} [[id:{row['custom_id']}]]"
        job.input.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return ids

    def run_job(self, job, *flags, key=ENGINE_KEY, **how):
        return job.run("--json", *flags, env={"ENGINE_KEY": key}, **how)

    def check_answers(self, job, ids):
        """Each id once; the clouds' answers are each prompt's own, the engine's of the right form."""
        rows = job.rows()
        self.assertEqual(sorted(r["custom_id"] for r in rows), sorted(ids))
        self.assertEqual(job.error_rows(), [])
        for row in rows:
            body, spillway = row["response"]["body"], row["spillway"]
            if spillway["pool"] != "onprem":
                self.assertIn(f"[[re:{row['custom_id']}]]", answer_text(row))
                continue
            self.assertEqual(body["object"], "chat.completion")
            self.assertIn(body["choices"][0]["finish_reason"], ("stop", "length"))
            self.assertIsInstance(answer_text(row), str)
            usage = body["usage"]
            self.assertEqual(usage["prompt_tokens"], spillway["input_tokens"])
            self.assertEqual(usage["completion_tokens"], spillway["output_tokens"])
            self.assertGreater(usage["prompt_tokens"], 5)
            self.assertLessEqual(usage["completion_tokens"], 16 * len(body["choices"]))
            self.assertEqual(spillway["cost_usd"], 0)
        return [r for r in rows if r["spillway"]["pool"] == "onprem"]

    def test_the_questions_complete_beside_two_clouds(self):
        quota = {"rpm": 1800, "concurrency": 8}
        sim = self.simulate(
            sim_pool("east", "openai", quota=quota), sim_pool("west", "azure-openai", quota=quota)
        )
        clouds = [
            pool(sim.endpoints["east"], "east", "openai", [lane(quota=quota)]),
            pool(sim.endpoints["west"], "west", "azure-openai", [lane(quota=quota)]),
        ]
        job = self.job([self.engine.pool(), *clouds], order="cost")
        ids = self.write(job, questions(), max_tokens=16)
        process = self.run_job(job)
        own = self.check_answers(job, ids)
        self.assertGreater(len(own), len(ids) / 10, "the engine costs nothing and takes its part")
        counted = self.engine.counters()
        read = sum(r["spillway"]["input_tokens"] for r in own)
        self.assertEqual(
            counted["prompt_tokens_total"] + counted["prompt_tokens_cached_total"], read
        )
        self.assertEqual(
            counted["tokens_predicted_total"], sum(r["spillway"]["output_tokens"] for r in own)
        )
        self.assertEqual(
            counted["prompt_tokens_cached_total"],
            sum(r["spillway"]["cached_tokens"] for r in own),
        )
        stats = sim.stats()
        self.assertEqual(stats["repeated_ids"], 0)
        self.assertEqual(stats["answered"], len(ids) - len(own))
        lanes = {x["pool"]: x for x in process.summary()["lanes"]}
        self.assertEqual(lanes["onprem"]["health"], "up")
        self.check_money(sim, job)

    def test_a_wrong_key_stops_the_engine_only(self):
        sim = self.simulate(sim_pool("east"))
        job = self.job([self.engine.pool(), pool(sim.endpoints["east"], "east")], order="cost")
        ids = self.write(job, questions()[:40], max_tokens=8)
        process = self.run_job(job, key="not-this-one-5511")
        self.assertEqual(self.check_answers(job, ids), [])
        self.assertNotIn("not-this-one-5511", process.out + process.err)
        lanes = {x["pool"]: x for x in process.summary()["lanes"]}
        self.assertEqual(lanes["onprem"]["health"], "down-auth")
        alone = Job(self, [self.engine.pool()], name="alone", stall_timeout="1s")
        self.run_job(alone, key="not-this-one-5511", expect=STOPPED)
        self.run_job(alone)
        self.assertEqual(len(self.check_answers(alone, ids)), 40)

    def test_a_prompt_beyond_the_context_goes_to_a_larger_one(self):
        sim = self.simulate(sim_pool("east"))
        texts = ["Add one and one.", " ".join(questions())[: 20 * SLOT_TOKENS], "What is left?"]
        job = self.job([self.engine.pool(), pool(sim.endpoints["east"], "east")], order="as-listed")
        ids = self.write(job, texts, max_tokens=8)
        self.run_job(job)
        self.check_answers(job, ids)
        where = {r["custom_id"]: r["spillway"]["pool"] for r in job.rows()}
        self.assertEqual(where["q-1"], "east")
        self.assertIn("onprem", where.values())

        alone = Job(self, [self.engine.pool()], name="alone")
        process = self.run_job(alone, expect=ERROR_ROWS)
        [row] = alone.error_rows()
        self.assertEqual(row["custom_id"], "q-1")
        self.assertEqual(row["response"]["status_code"], 400)
        self.assertIn("context", row["error"]["message"] + row["error"]["code"])
        self.assertEqual(len(alone.rows()), 2)
        self.assertEqual(process.summary()["lanes"][0]["health"], "up")

    def test_what_it_offers_beyond_text_arrives(self):
        job = self.job([self.engine.pool()])
        ids = self.write(
            job, questions()[:6], max_tokens=16, seed=7, logprobs=True, top_logprobs=2, n=2
        )
        self.run_job(job, expect=OK)
        self.check_answers(job, ids)
        for row in job.rows():
            choices = row["response"]["body"]["choices"]
            self.assertEqual(sorted(choice["index"] for choice in choices), [0, 1])
            for choice in choices:
                self.assertGreater(len(choice["logprobs"]["content"]), 0)


if __name__ == "__main__":
    unittest.main()
