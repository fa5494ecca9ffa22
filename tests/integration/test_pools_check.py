"""`spillway pools check`: what it finds, what it says to do, and that nothing is billed."""

import http.server
import json
import threading
import unittest

from clouds_support import ENVIRONMENT, PROVIDERS, SECRETS, cloud, identity, sim_cloud
from support import MODEL, OK, USAGE, Case, Job, lane, pool, refused_port, sim_pool


class Checks(Case):
    def check(self, pools, *flags, expect=OK, env=None):
        job = Job(self, pools)
        process = self.command(
            "pools", "check", "-c", job.config, "--json", *flags, expect=expect, env=env
        )
        return [json.loads(line) for line in process.out.splitlines()]

    def found(self, lines, pool_name, check):
        return [line for line in lines if line["pool"] == pool_name and line["check"] == check]

    def problems(self, lines):
        return {(one["pool"], one["check"]) for one in lines if one["result"] == "problem"}


class Clouds(Checks):
    def clouds(self, **identity_changes):
        sim = self.simulate(
            *(sim_cloud(name) for name in PROVIDERS), identity=identity(**identity_changes)
        )
        return sim, {name: cloud(name, sim) for name in PROVIDERS}

    def test_every_provider_can_be_asked_for_nothing(self):
        sim, pools = self.clouds()
        lines = self.check(list(pools.values()), env=ENVIRONMENT)
        self.assertEqual(self.problems(lines), set(), lines)
        for name in PROVIDERS:
            self.assertEqual([f["result"] for f in self.found(lines, name, "credentials")], ["ok"])
        for name in ("openai", "anthropic", "onprem"):
            self.assertEqual(self.found(lines, name, "model")[0]["result"], "ok", name)
        for name in ("bedrock", "vertex"):
            self.assertEqual(self.found(lines, name, "model")[0]["result"], "warning", name)
            self.assertIn("--send", self.found(lines, name, "model")[0]["remedy"])
        stats = sim.stats()
        self.assertEqual((stats["answered"], stats["billed_usd"]), (0, 0), "nothing is billed")
        sent = self.check(list(pools.values()), "--send", env=ENVIRONMENT)
        self.assertEqual(
            {f["pool"] for f in sent if f["check"] == "prompt" and f["result"] == "ok"},
            set(PROVIDERS),
        )

    def test_models_and_secrets_that_are_wrong(self):
        _, pools = self.clouds()
        for name in ("bedrock", "vertex", "anthropic"):
            pools[name]["lanes"][0]["as"] = "anthropic.claude-nowhere" if name == "bedrock" else "gone"
        # A provider may judge the content before the model: what is sent for real settles it.
        lines = self.check([pools[n] for n in ("bedrock", "vertex", "anthropic")], "--send",
                           expect=USAGE, env=ENVIRONMENT)
        self.assertEqual(
            self.problems(lines),
            {("bedrock", "model"), ("vertex", "model"), ("anthropic", "model")},
        )
        _, pools = self.clouds()
        wrong = {**ENVIRONMENT, "AWS_SECRET": "another", "ENTRA_SECRET": "another", "SIM_KEY": "no"}
        lines = self.check(
            [pools[n] for n in ("bedrock", "azure", "anthropic")], expect=USAGE, env=wrong
        )
        self.assertEqual(
            self.problems(lines),
            {("bedrock", "credentials"), ("azure", "credentials"), ("anthropic", "credentials")},
        )
        self.assertIn("client secret", self.found(lines, "azure", "credentials")[0]["remedy"])
        for secret in SECRETS:
            self.assertNotIn(secret, json.dumps(lines))

    def test_a_wrong_path_is_no_missing_model(self):
        _, pools = self.clouds()
        self.assertTrue(pools["azure"]["endpoint"].endswith("/openai/v1"))
        pools["azure"]["endpoint"] = pools["azure"]["endpoint"].removesuffix("/openai/v1")
        pools["bedrock"]["endpoint"] += "/elsewhere"
        for flags in ([], ["--send"]):
            lines = self.check([pools["azure"], pools["bedrock"]], *flags, expect=USAGE,
                               env=ENVIRONMENT)
            self.assertEqual(self.problems(lines),
                             {("azure", "endpoint"), ("bedrock", "endpoint")}, lines)
            for name in ("azure", "bedrock"):
                self.assertIn("version prefix", self.found(lines, name, "endpoint")[0]["remedy"])
                self.assertEqual(self.found(lines, name, "model"), [])


class PoolsCheck(Checks):
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
        self.assertEqual([f["detail"] for f in self.found(lines, "c", "health")], ["healthy"])
        self.assertEqual(self.found(lines, "a", "health"), [], "only servers of one's own tell")
        stats = sim.stats()
        self.assertEqual((stats["answered"], stats["billed_usd"]), (0, 0), "nothing is billed")

    def test_a_server_that_loads_its_model(self):
        sim = self.simulate(
            sim_pool("gpu", "openai-compatible", faults=[{"kind": "down", "from": "0s", "to": "1h"}])
        )
        lines = self.check([pool(sim.endpoints["gpu"], "gpu", "openai-compatible")], expect=USAGE)
        health = self.found(lines, "gpu", "health")
        self.assertEqual([f["result"] for f in health], ["problem"])
        self.assertIn("503", health[0]["detail"])
        self.assertIn("model is loaded", health[0]["remedy"])

    def test_a_refusal_that_quotes_the_key(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(
                    {"error": {"message": f"what is {self.headers['Authorization']}?"}}
                ).encode()
                self.send_response(403)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        lines = self.check(
            [pool(f"http://127.0.0.1:{server.server_port}/v1", auth={"api_key": "env:QUOTED_KEY"})],
            expect=USAGE,
            env={"QUOTED_KEY": "hush-hush"},
        )
        self.assertEqual(self.problems(lines), {("main", "credentials")})
        self.assertIn("what is Bearer ***?", json.dumps(lines))
        self.assertNotIn("hush-hush", json.dumps(lines))

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
        self.assertEqual(
            self.problems(lines),
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
