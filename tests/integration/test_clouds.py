"""One batch in OpenAI's form through every provider's own protocol: answers, usage and cost come
back in one form, each call signed as the provider wants it."""

import base64
import json
import struct
import unittest

from clouds_support import (
    EMBEDDERS,
    ENVIRONMENT,
    NAMES,
    SECRETS,
    cloud,
    embedding_lane,
    identity,
    sim_cloud,
    write_special,
)
from support import MODEL, OK, Case, Job, answer_text, held, lane, write_prompts


class Answers(Case):
    def one_cloud(self, name, **sim_changes):
        sim = self.simulate(sim_cloud(name, **sim_changes), name=f"sim-{name}", identity=identity())
        return sim, Job(self, [cloud(name, sim)], name=name)

    def check_form(self, row):
        """A chat completion as OpenAI's reference has it."""
        body = row["response"]["body"]
        self.assertEqual(body["object"], "chat.completion")
        self.assertIsInstance(body["created"], int)
        self.assertTrue(body["id"] and body["model"])
        [choice] = body["choices"]
        self.assertEqual(choice["message"]["role"], "assistant")
        usage = body["usage"]
        self.assertEqual(
            usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"], usage
        )
        self.assertEqual(row["spillway"]["input_tokens"], usage["prompt_tokens"])
        self.assertEqual(row["spillway"]["output_tokens"], usage["completion_tokens"])
        return choice

    def test_prompts_of_every_kind_on_every_cloud(self):
        for name in NAMES:
            with self.subTest(name):
                sim, job = self.one_cloud(name, cached_share=0.25, reasoning_tokens=2)
                kinds = write_special(job.input)
                process = job.run("--json", env=ENVIRONMENT)
                rows = {r["custom_id"]: r for r in job.rows()}
                self.assertEqual(set(rows), set(kinds), job.error_rows())
                for kind, row in rows.items():
                    with self.subTest(kind):
                        self.check_kind(kind, row, self.check_form(row))
                        self.assertEqual(row["spillway"]["dropped"], [])
                self.check_money(sim, job)
                stats = sim.stats()
                self.assertEqual(
                    sum(r["spillway"]["input_tokens"] for r in rows.values()),
                    stats["input_tokens"],
                )
                self.assertGreater(sum(r["spillway"]["cached_tokens"] for r in rows.values()), 0)
                self.assertEqual(stats["refused_auth"], 0)
                for secret in SECRETS:
                    self.assertNotIn(secret, process.out + process.err)

    def check_kind(self, kind, row, choice):
        if kind in ("forced", "named"):
            [call] = choice["message"]["tool_calls"]
            self.assertEqual((call["type"], call["function"]["name"]), ("function", "weather"))
            arguments = json.loads(call["function"]["arguments"])
            self.assertEqual(set(arguments), {"city", "days"})
            self.assertIn(f"[[re:{kind}]]", arguments["city"])
            self.assertTrue(call["id"])
            self.assertEqual(choice["finish_reason"], "tool_calls")
        elif kind == "schema":
            answer = json.loads(choice["message"]["content"])
            self.assertIn("[[re:schema]]", answer["city"])
            self.assertEqual(choice["finish_reason"], "stop")
        else:
            self.assertIn(f"[[re:{kind}]]", answer_text(row))
            self.assertEqual(choice["finish_reason"], "length" if kind == "short" else "stop")

    def test_the_same_answer_from_every_cloud(self):
        texts = {}
        for name in NAMES:
            _, job = self.one_cloud(name)
            write_prompts(job.input, 3)
            job.run(env=ENVIRONMENT)
            texts[name] = sorted((r["custom_id"], answer_text(r)) for r in job.rows())
        self.assertEqual(len(set(map(str, texts.values()))), 1, texts)

    def test_embeddings_where_they_are_sold(self):
        vectors = {}
        for name in EMBEDDERS:
            with self.subTest(name):
                sim = self.simulate(sim_cloud(name), name=f"sim-{name}", identity=identity())
                job = Job(self, [cloud(name, sim, [embedding_lane(name)])], name=name)
                write_prompts(job.input, 4, url="/v1/embeddings", model="embed", dimensions=256)
                job.run(env=ENVIRONMENT)
                self.assertEqual(len(job.rows()), 4, job.error_rows())
                for row in job.rows():
                    body = row["response"]["body"]
                    self.assertEqual(body["object"], "list")
                    self.assertEqual(len(body["data"][0]["embedding"]), 256)
                    self.assertGreater(body["usage"]["prompt_tokens"], 0)
                self.check_money(sim, job)
                vectors[name] = {
                    r["custom_id"]: r["response"]["body"]["data"][0]["embedding"]
                    for r in job.rows()
                }
        for name, found in vectors.items():
            self.assertEqual(found, vectors["openai"], f"{name}: another vector for the same text")

    def test_vectors_in_the_encoding_that_was_asked_for(self):
        for name in EMBEDDERS:
            with self.subTest(name):
                sim = self.simulate(sim_cloud(name), name=f"sim-{name}", identity=identity())
                job = Job(self, [cloud(name, sim, [embedding_lane(name)])], name=name)
                found = {}
                for encoding in ("float", "base64"):
                    write_prompts(
                        job.input, 2, url="/v1/embeddings", model="embed", dimensions=256,
                        encoding_format=encoding,
                    )
                    job.run("--overwrite", env=ENVIRONMENT)
                    found[encoding] = {
                        r["custom_id"]: r["response"]["body"]["data"][0]["embedding"]
                        for r in job.rows()
                    }
                self.assertEqual(len(found["float"]), 2)
                for custom_id, vector in found["float"].items():
                    packed = struct.pack(f"<{len(vector)}f", *vector)
                    self.assertEqual(base64.b64decode(found["base64"][custom_id]), packed)

    def test_an_embedding_never_goes_to_another_model(self):
        sim = self.simulate(sim_cloud("openai"), sim_cloud("bedrock"), identity=identity())
        lanes = {n: lane(**{"as": EMBEDDERS[n], "max_output_tokens": None}) for n in EMBEDDERS}
        lanes["openai"]["model"] = "text-embedding-3-small"
        lanes["bedrock"]["model"] = "titan"
        job = Job(self, [cloud(n, sim, [lanes[n]]) for n in ("bedrock", "openai")])
        write_prompts(job.input, 20, url="/v1/embeddings", model="text-embedding-3-small")
        job.run(env=ENVIRONMENT)
        self.assertEqual({r["spillway"]["pool"] for r in job.rows()}, {"openai"})
        self.assertEqual(sim.stats()["pools"]["bedrock"]["requests"], 0)


class SideBySide(Case):
    def test_one_batch_over_all_six(self):
        tokens = {"azure", "vertex"}  # are fetched first: the others leave something over for them
        sim = self.simulate(
            *[sim_cloud(n, latency="20ms", quota={"concurrency": 6},
                        faults=[] if n in tokens else held(1)) for n in NAMES],
            identity=identity(),
        )
        lanes = {n: lane(**{"as": NAMES[n], "quota": {"concurrency": 6}}) for n in NAMES}
        job = Job(self, [cloud(n, sim, [lanes[n]]) for n in NAMES])
        ids = write_prompts(job.input, 600)
        process = job.start("--json", env=ENVIRONMENT)
        sim.wait_for(lambda s: all(s["pools"][n]["requests"] for n in NAMES), "each was asked")
        sim.release(*NAMES.keys() - tokens)
        self.assertEqual(process.wait(), OK, process.err[-3000:])
        self.check_each_once(job, ids)
        self.check_money(sim, job)
        used = {r["spillway"]["pool"] for r in job.rows()}
        self.assertEqual(used, set(NAMES))
        for row in job.rows():
            self.assertEqual(row["response"]["body"]["object"], "chat.completion")

    def test_openai_surfaces_of_the_clouds(self):
        gpt = {"bedrock": "openai.gpt-oss-120b-1:0", "vertex": "openai/gpt-oss-120b-maas"}
        sim = self.simulate(*[sim_cloud(n, models=[gpt[n]]) for n in gpt], identity=identity())
        for name, model in gpt.items():
            with self.subTest(name):
                job = Job(
                    self,
                    [cloud(name, sim, [lane(**{"as": model, "surface": "openai"})])],
                    name=name,
                )
                ids = write_prompts(job.input, 20)
                job.run(env=ENVIRONMENT)
                self.check_each_once(job, ids)

    def test_chat_through_the_partner_surface_and_mantle(self):
        sim = self.simulate(
            sim_cloud("vertex", models=["gpt-6-sol"]),
            sim_cloud("bedrock", models=["openai.gpt-oss-120b"], mantle=True),
            identity=identity(),
        )
        partner = cloud("vertex", sim, [lane(**{"as": "gpt-6-sol", "surface": "responses"})])
        keys = {
            "access_key_id": "env:AWS_ID",
            "secret_access_key": "env:AWS_SECRET",
            "signing_name": "bedrock-mantle",
        }
        mantle = cloud(
            "bedrock",
            sim,
            [lane(**{"as": "openai.gpt-oss-120b"})],
            mantle=True,
            auth={"aws": keys},
        )
        for name, config in (("partner", partner), ("mantle", mantle)):
            with self.subTest(name):
                job = Job(self, [config], name=name)
                ids = write_prompts(job.input, 20)
                job.run(env=ENVIRONMENT)
                self.check_each_once(job, ids)
                self.assertEqual(
                    {r["response"]["body"]["object"] for r in job.rows()}, {"chat.completion"}
                )

    def test_pairs_that_a_model_refuses_go_elsewhere(self):
        """GPT on Bedrock takes a temperature only from prompts that switch its reasoning off."""
        gpt = "openai.gpt-5.6-sol"
        sim = self.simulate(
            sim_cloud("bedrock", models=[gpt]), sim_cloud("openai"), identity=identity()
        )
        job = Job(
            self,
            [
                cloud("bedrock", sim, [lane(**{"as": gpt, "surface": "openai"})]),
                cloud("openai", sim),
            ],
            order="as-listed",
        )
        asked = {
            "plain": {"temperature": 1},
            "off": {"temperature": 0.5, "reasoning_effort": "none"},
            "on": {"temperature": 0.5},
        }
        bodies = [
            {"custom_id": name, "method": "POST", "url": "/v1/chat/completions",
             "body": {"model": MODEL, "messages": [{"role": "user", "content": name}], **more}}
            for name, more in asked.items()
        ]
        job.input.write_text("".join(json.dumps(b) + "\n" for b in bodies))
        job.run(env=ENVIRONMENT)
        pools = {r["custom_id"]: r["spillway"]["pool"] for r in job.rows()}
        self.assertEqual(pools, {"plain": "bedrock", "off": "bedrock", "on": "openai"})
        job.run("--overwrite", "--unmappable", "drop", env=ENVIRONMENT)
        dropped = {r["custom_id"]: r["spillway"]["dropped"] for r in job.rows()}
        self.assertEqual(dropped, {"plain": [], "off": [], "on": ["temperature"]})

    def test_the_dated_form_of_azure(self):
        sim = self.simulate(
            sim_cloud("azure", api_versions=["2024-10-21"]), identity=identity()
        )
        job = Job(self, [cloud("azure", sim, api_version="2024-10-21")])
        ids = write_prompts(job.input, 20)
        job.run(env=ENVIRONMENT, expect=OK)
        self.check_each_once(job, ids)


if __name__ == "__main__":
    unittest.main()
