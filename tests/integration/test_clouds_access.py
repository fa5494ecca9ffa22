"""Credentials that are wrong, expire, rotate or cannot be had: what the user is told, and that no
prompt fails for it."""

import unittest

from clouds_support import ENVIRONMENT, NAMES, SECRETS, cloud, identity, sim_cloud
from support import KEY, OK, STOPPED, USAGE, Case, Job, lane, wait_until, write_prompts


class Refused(Case):
    def check_down(self, name, text, env=None, ident=None, sim_changes=None, health="down-auth",
                   stall="1s"):
        """The lane is down for its credentials and says why; no prompt fails for it."""
        sim = self.simulate(
            sim_cloud(name, **(sim_changes or {})), name=f"sim{self._started}",
            identity=ident or identity(),
        )
        job = Job(self, [cloud(name, sim)], name=f"job{self._started}",
                  stall_timeout=stall)
        write_prompts(job.input, 20)
        process = job.run("--json", expect=STOPPED, env={**ENVIRONMENT, **(env or {})})
        [one] = process.summary()["lanes"]
        self.assertEqual(one["health"], health, one)
        self.assertRegex(one["reason"], text)
        self.assertEqual(job.rows() + job.error_rows(), [])
        for secret in (*SECRETS, *(env or {}).values()):
            self.assertNotIn(secret, process.out + process.err)
        self.assertLessEqual(sim.stats()["requests"], 3 * 16, "a lane that is down is left alone")

    def test_wrong_keys(self):
        self.check_down("bedrock", "(?i)signature", {"AWS_SECRET": "wrong-aws-secret-1"})
        self.check_down("bedrock", "(?i)security token", {"AWS_ID": "AKIDUNKNOWN"})
        self.check_down("anthropic", "(?i)api.?key", {"SIM_KEY": "wrong-key-1"})

    def test_a_wrong_client_secret(self):
        self.check_down("azure", "(?i)secret|AADSTS7000215|invalid_client",
                        {"ENTRA_SECRET": "wrong-entra-secret-1"}, health="no-credentials",
                        stall="5s")  # counts from the start, and asking takes some of it

    def test_signatures_for_another_region_or_service(self):
        self.check_down("bedrock", "(?i)region", sim_changes={"region": "eu-west-1"})
        self.check_down("bedrock", "(?i)service", sim_changes={"signing_names": ["other"]})

    def test_a_clock_that_is_wrong(self):
        self.check_down("bedrock", "(?i)expired|clock", ident=identity(clock_ahead="6m"))


class Starting(Case):
    def test_a_first_fetch_is_no_trouble(self):
        sim = self.simulate(sim_cloud("openai"), sim_cloud("azure"), identity=identity())
        job = Job(self, [cloud("openai", sim), cloud("azure", sim)])
        write_prompts(job.input, 20)
        audit = self.folder / "audit"
        process = job.run("--pools", "openai", "--audit", audit, env=ENVIRONMENT)
        self.assertNotIn("no-credentials", process.err)
        self.assertNotIn("lane_down", audit.read_text())


    def test_who_leaves_a_cloud_out_needs_no_secret_of_it(self):
        sim = self.simulate(sim_cloud("openai"), sim_cloud("azure"), identity=identity())
        job = Job(self, [cloud("openai", sim), cloud("azure", sim)])
        ids = write_prompts(job.input, 20)
        env = {k: v for k, v in ENVIRONMENT.items() if k != "ENTRA_SECRET"}
        process = job.run(env=env, expect=USAGE)
        self.assertIn("ENTRA_SECRET", process.err)
        job.run("--pools", "openai", env=env)
        self.check_each_once(job, ids)
        self.assertEqual(sim.stats()["identity"]["entra"]["issued"], 0)


class Changing(Case):
    def start(self, arguments, env=None, preexec=None):
        return super().start(arguments, {**ENVIRONMENT, **(env or {})}, preexec)

    def slow(self, name, **changes):
        return sim_cloud(name, latency="40ms", **changes)

    def finish(self, process, job, ids, sim):
        self.assertEqual(process.wait(), OK, process.err[-3000:])
        self.check_each_once(job, ids)
        self.check_money(sim, job)

    def test_tokens_expire_while_prompts_run(self):
        sim = self.simulate(
            *[self.slow(n) for n in ("azure", "vertex")],
            identity=identity(token_lifetime="2s"),
        )
        for name, service in (("azure", "entra"), ("vertex", "google")):
            with self.subTest(name):
                job = Job(self, [cloud(name, sim, [lane(quota={"concurrency": 4},
                                                        **{"as": NAMES[name]})])], name=name)
                ids = write_prompts(job.input, 500)
                job.run(env=ENVIRONMENT)
                self.check_each_once(job, ids)
                self.assertGreaterEqual(sim.stats()["identity"][service]["issued"], 3)
        self.assertLess(sim.stats()["refused_auth"], 50)

    def test_credentials_of_three_clouds_are_replaced_all_the_time(self):
        names = {"azure": "entra", "vertex": "google", "bedrock": "aws"}
        sim = self.simulate(*[self.slow(n) for n in names], identity=identity(token_lifetime="3s"))
        auth = {"bedrock": {"auth": {"aws": "default"}}}
        job = Job(self, [cloud(n, sim, [lane(quota={"concurrency": 4}, **{"as": NAMES[n]})],
                               **auth.get(n, {})) for n in names])
        ids = write_prompts(job.input, 1500)
        job.run(env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": sim.url + "/_sim/container"})
        self.check_each_once(job, ids)
        for service in names.values():
            self.assertGreaterEqual(sim.stats()["identity"][service]["issued"], 3, service)

    def test_sessions_of_a_container_expire_while_prompts_run(self):
        sim = self.simulate(self.slow("bedrock"), identity=identity(token_lifetime="3s"))
        job = Job(self, [cloud("bedrock", sim, [lane(quota={"concurrency": 4},
                                                     **{"as": NAMES["bedrock"]})],
                               auth={"aws": "default"})])
        ids = write_prompts(job.input, 500)
        job.run(env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": sim.url + "/_sim/container"})
        self.check_each_once(job, ids)
        self.assertGreaterEqual(sim.stats()["identity"]["aws"]["issued"], 2)

    def test_revoked_tokens_are_replaced(self):
        sim = self.simulate(self.slow("vertex"), identity=identity())
        job = Job(self, [cloud("vertex", sim)])
        ids = write_prompts(job.input, 400)
        process = job.start("--json")
        sim.wait_for(lambda s: s["answered"] >= 50, "50 answers")
        sim.control(service="google", revoke=True)
        self.finish(process, job, ids, sim)
        stats = sim.stats()
        self.assertGreaterEqual(stats["refused_auth"], 1)
        self.assertEqual(stats["identity"]["google"]["issued"], 2)

    def test_a_service_account_key_is_rotated(self):
        key_file = self.folder / "account.json"
        sim = self.simulate(
            self.slow("vertex"),
            identity=identity(google={"key_file": str(key_file)}, token_lifetime="2s"),
        )
        config = cloud("vertex", sim, [lane(quota={"concurrency": 4}, **{"as": NAMES["vertex"]})],
                       auth={"google": {"service_account": f"file:{key_file}"}})
        job = Job(self, [config])
        ids = write_prompts(job.input, 500)
        process = job.start("--json")
        sim.wait_for(lambda s: s["answered"] >= 50, "50 answers")
        before = sim.stats()["identity"]["google"]["issued"]
        sim.control(service="google", rotate=True)
        self.finish(process, job, ids, sim)
        self.assertGreater(sim.stats()["identity"]["google"]["issued"], before)

    def test_an_api_key_in_a_file_is_rotated(self):
        key_file = self.folder / "key"
        for name in ("openai", "anthropic", "onprem"):
            with self.subTest(name):
                key_file.write_text("the-first-key\n")
                sim = self.simulate(
                    self.slow(name, api_key=None, api_keys=[{"key": "the-first-key"}]),
                    name=f"sim-{name}",
                )
                job = Job(self, [cloud(name, sim, auth={"api_key": f"file:{key_file}"})], name=name)
                ids = write_prompts(job.input, 400)
                process = job.start("--json")
                sim.wait_for(lambda s: s["answered"] >= 50, "50 answers")
                renewed = self.folder / "key.new"
                renewed.write_text("the-second-key\n")
                renewed.rename(key_file)
                sim.control(pool=name, api_keys=[{"key": "the-second-key"}])
                self.finish(process, job, ids, sim)

    def test_a_token_endpoint_that_is_down_does_not_matter_while_a_token_is_good(self):
        sim = self.simulate(self.slow("vertex"), identity=identity(token_lifetime="12s"))
        config = cloud("vertex", sim, [lane(quota={"concurrency": 2}, **{"as": NAMES["vertex"]})])
        job = Job(self, [config])
        ids = write_prompts(job.input, 500)
        process = job.start("--json")
        sim.wait_for(lambda s: s["answered"] >= 20, "20 answers")
        sim.control(service="google", faults=[{"kind": "down", "to": "60s"}])
        issued = sim.stats()["identity"]["google"]["issued"]
        sim.wait_for(lambda s: s["identity"]["google"]["failed"] > 0, "a try to refresh it early")
        before = sim.stats()["answered"]
        sim.wait_for(lambda s: s["answered"] >= before + 20, "answers with the token there is", 5)
        self.assertEqual(sim.stats()["identity"]["google"]["issued"], issued)
        sim.control(service="google", faults=[])
        self.finish(process, job, ids, sim)
        self.assertEqual(sim.stats()["refused_auth"], 0)

    def test_a_token_endpoint_comes_back(self):
        sim = self.simulate(
            self.slow("azure"),
            identity=identity(entra={"faults": [{"kind": "down"}]}),
        )
        job = Job(self, [cloud("azure", sim)])
        ids = write_prompts(job.input, 50)
        process = job.start("--json")
        sim.wait_for(lambda s: s["identity"]["entra"]["failed"] > 1, "it was tried again")
        sim.control(service="entra", faults=[])
        self.finish(process, job, ids, sim)


class Models(Case):
    def test_a_model_that_appears_later_on_one_cloud_takes_work_then(self):
        faults = [{"kind": "missing-model", "model": NAMES["bedrock"]}]
        sim = self.simulate(
            sim_cloud("bedrock", latency="20ms", faults=faults),
            sim_cloud("vertex", latency="200ms"),
            identity=identity(),
        )
        job = Job(self, [cloud("bedrock", sim),
                         cloud("vertex", sim, [lane(quota={"concurrency": 4},
                                                    **{"as": NAMES["vertex"]})])],
                  order="as-listed")
        ids = write_prompts(job.input, 600)
        process = job.start("--json", env={**ENVIRONMENT, "SIM_KEY": KEY})
        wait_until(lambda: "down-model" in process.health("bedrock"), "its lane is down")
        sim.release("bedrock")
        self.assertEqual(process.wait(120), OK, process.err[-3000:])
        self.check_each_once(job, ids)
        pools = {r["spillway"]["pool"] for r in job.rows()}
        self.assertEqual(pools, {"bedrock", "vertex"})


if __name__ == "__main__":
    unittest.main()
