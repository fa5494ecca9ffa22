"""What we give users to copy works: the example configurations, the README's, the generator."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

from support import OK, Case, read_rows, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "deploy" / "examples"
KEYS = {"OPENAI_API_KEY": "a", "AZURE_OPENAI_KEY": "b", "SIM_KEY": "sim-key",
        "ANTHROPIC_API_KEY": "c", "AWS_ACCESS_KEY_ID": "d", "AWS_SECRET_ACCESS_KEY": "e",
        "SIM_AWS_ID": "AKIDSIMULATED", "SIM_SECRET": "sim-secret"}


def generate(*flags):
    return subprocess.run([sys.executable, ROOT / "deploy" / "make_prompts.py", *flags],
                          capture_output=True, check=True).stdout


class Examples(Case):
    def accept(self, config):
        """A run without prompts reads the configuration and the keys, and sends nothing."""
        empty = self.folder / "empty.jsonl"
        empty.touch()
        self.command("run", empty, "-o", self.folder / f"{config.stem}.out.jsonl", "-c", config,
                     "--quiet", expect=OK, env=KEYS)

    def test_example_configurations_are_valid(self):
        for name in ("pools.yaml", "pools-sim.yaml", "pools-clouds.yaml"):
            with self.subTest(name):
                self.accept(EXAMPLES / name)

    def test_the_configurations_in_the_readme_are_valid(self):
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        self.assertEqual(len(blocks), 3, "of a run, of a fleet, and of clouds")
        alone, fleet, clouds = blocks
        pools = re.search(r"^pools:.*?(?=^\w)", alone, re.MULTILINE | re.DOTALL)[0]
        fleet = re.sub(r"^pools:.*\n", lambda _: pools, fleet, flags=re.MULTILINE)
        key = self.folder / "key.json"  # a service account's, which the simulator writes
        self.simulate(identity={"google": {"key_file": str(key)}})
        clouds = clouds.replace("/etc/spillway/key.json", str(key))
        for name, text in (("alone", alone), ("fleet", fleet), ("clouds", clouds)):
            with self.subTest(name):
                config = self.folder / f"{name}.yaml"
                config.write_text(text)
                self.accept(config)

    def run_generated(self, sim_example, pools_example):
        """Runs generated prompts over a pair of examples; the rows."""
        prompts = self.folder / "prompts.jsonl"
        prompts.write_bytes(generate("--count", "30", "--seed", "3"))
        sim = self.folder / "sim.yaml"
        text = (EXAMPLES / sim_example).read_text()
        where = re.search(r"listen: (\S+)", text)[1]
        text = text.replace(where, "127.0.0.1:0")
        sim.write_text(re.sub(r"latency: .*", "latency: 1ms", text))
        ready = self.folder / "ready.json"
        self.start(["simulate", "-c", sim, "--ready-file", ready])
        wait_until(ready.exists, "the simulator is ready")
        url = json.loads(ready.read_text())["url"]
        config = self.folder / "pools.yaml"
        config.write_text((EXAMPLES / pools_example).read_text()
                          .replace(where, url.removeprefix("http://")))
        out = self.folder / "out.jsonl"
        self.command("run", prompts, "-o", out, "-c", config, "--strict", "--quiet", expect=OK,
                     env=KEYS)
        wanted = [json.loads(line)["custom_id"] for line in prompts.read_text().splitlines()]
        rows = read_rows(out)
        self.assertEqual(sorted(r["custom_id"] for r in rows), sorted(wanted))
        return rows

    def test_generated_prompts_run_over_the_simulated_example(self):
        self.run_generated("sim.yaml", "pools-sim.yaml")

    def test_generated_prompts_run_over_the_simulated_clouds(self):
        self.run_generated("sim-clouds.yaml", "pools-clouds.yaml")

    def test_the_generator_repeats_itself_by_seed(self):
        first = generate("--count", "200", "--seed", "5")
        self.assertEqual(first, generate("--count", "200", "--seed", "5"))
        self.assertNotEqual(first, generate("--count", "200", "--seed", "6"))
        kinds = {json.loads(line)["custom_id"].split("-")[0] for line in first.splitlines()}
        self.assertEqual(kinds, {"classification", "extraction", "summary"})


if __name__ == "__main__":
    unittest.main()
