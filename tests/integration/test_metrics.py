"""The metrics page as Prometheus' own promtool sees it, its table in the documentation, and the
alerts that use it.

promtool comes from PATH, else from the Debian package prometheus: downloaded and unpacked, 20 MB,
not installed, because installing it would start a server."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
TABLE = ROOT / "orchestrator" / "service" / "README.md"
SAMPLE = os.environ.get("SPILLWAY_METRICS_SAMPLE", "spillway_metrics_sample")
TOOLS = pathlib.Path(os.environ.get("SPILLWAY_TEST_TOOLS", tempfile.gettempdir()))


def unpacked_promtool():
    """The package's promtool, kept in TOOLS for the next time."""
    kept = TOOLS / "promtool"
    if kept.exists():
        return kept
    TOOLS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        download = ["apt-get", "download", "-q", "prometheus"]
        got = subprocess.run(download, cwd=folder, capture_output=True, text=True)
        if got.returncode != 0 and os.geteuid() == 0:  # no package lists yet, or old ones
            subprocess.run(["apt-get", "update", "-q"], capture_output=True)
            got = subprocess.run(download, cwd=folder, capture_output=True, text=True)
        packages = list(pathlib.Path(folder).glob("*.deb"))
        assert packages, f"no promtool in PATH, and its package can't be had:\n{got.stderr}"
        subprocess.run(["dpkg", "-x", packages[0], folder], check=True)
        (pathlib.Path(folder) / "usr" / "bin" / "promtool").rename(kept)
    return kept


def sample(which):
    return subprocess.run([SAMPLE, which], check=True, capture_output=True).stdout


def families(page):
    """Type by name."""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", page.decode(), re.MULTILINE))


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        found = shutil.which("promtool")
        if not found and not shutil.which("apt-get"):
            raise unittest.SkipTest("no promtool, and no Debian to take it from")
        cls.promtool_path = found or unpacked_promtool()

    def promtool(self, *arguments, stdin=b"", cwd=None):
        done = subprocess.run([self.promtool_path, *map(str, arguments)], input=stdin, cwd=cwd,
                              capture_output=True)
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def test_promtool_finds_nothing_wrong(self):
        for which in ("full", "new"):
            with self.subTest(which):
                self.assertEqual(self.promtool("check", "metrics", stdin=sample(which)), (0, ""))

    def test_promtool_would_find_something(self):
        page = sample("full").replace(b"TYPE spillway_fences_total counter",
                                      b"TYPE spillway_fences_total gauge")
        self.assertNotEqual(self.promtool("check", "metrics", stdin=page), (0, ""))

    def test_the_table_names_every_metric(self):
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", TABLE.read_text(), re.MULTILINE)
        self.assertEqual(len(rows), len(dict(rows)), "a metric stands twice in the table")
        self.assertEqual(dict(rows), families(sample("full")))

    def test_alerts_are_valid_and_fire(self):
        code, said = self.promtool("check", "rules", ALERTS)
        self.assertEqual(code, 0, said)
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ALERTS, folder)
            shutil.copy(ROOT / "tests" / "integration" / "alerts_test.yaml", folder)
            code, said = self.promtool("test", "rules", "alerts_test.yaml", cwd=folder)
        self.assertEqual(code, 0, said)

    def test_alerts_use_metrics_that_exist(self):
        used = set(re.findall(r"\b(?:spillway|process)_\w+", ALERTS.read_text()))
        self.assertTrue(used)
        self.assertEqual(used - families(sample("full")).keys(), set())

    def test_every_alert_is_tried(self):
        names = re.findall(r"alert: (\w+)", ALERTS.read_text())
        tried = (ROOT / "tests" / "integration" / "alerts_test.yaml").read_text()
        self.assertEqual([n for n in names if f'alertname="{n}"' not in tried], [])


if __name__ == "__main__":
    unittest.main()
