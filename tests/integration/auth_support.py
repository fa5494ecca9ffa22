"""What the tests of credentials share: the environment with other people's libraries, and
spillway_auth_probe, which does for them what we do."""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import foreign_packages
from support import wait_until

PACKAGES = ("botocore==1.44.5", "google-auth==2.62.0", "msal==1.39.0", "urllib3==2.8.0",
            "cryptography==50.0.2", "requests==2.34.2")
PROBE = os.environ.get("SPILLWAY_AUTH_PROBE", "spillway_auth_probe")


def need_packages():
    """Starts this program again where PACKAGES are; to be called before they are imported."""
    if os.environ.get("SPILLWAY_IN_FOREIGN_PACKAGES") != "1":
        interpreter = str(foreign_packages.interpreter(*PACKAGES))
        os.environ["SPILLWAY_IN_FOREIGN_PACKAGES"] = "1"
        os.execv(interpreter, [interpreter, "-B", *sys.argv])


class Probe:
    """spillway_auth_probe with an environment of its own."""

    def __init__(self, **env):
        inherited = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH")
        env = {**{name: os.environ[name] for name in inherited if name in os.environ}, **env}
        self.process = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=env, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)

    def __call__(self, do, **arguments):
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def use(self, name="a"):
        return self("use", name=name, target="/m", headers="", body="{}")

    def open(self, auth, provider, name="a", **pool):
        config = {"pools": [{"name": "p", "provider": provider, "auth": auth,
                             "lanes": [{"model": "m"}], **pool}]}
        return self("open", name=name, config=json.dumps(config))

    def header(self, auth, provider, **pool):
        """The headers of a request, once there is a credential."""
        said = self.open(auth, provider, **pool)
        assert "error" not in said, said
        return wait_until(lambda: self.use().get("headers"), "a credential")

    def trouble(self, auth, provider, **pool):
        """What is missing, once something failed."""
        said = self.open(auth, provider, **pool)
        if "error" in said:
            return said["error"]

        def failed():
            why = self.use().get("missing", "")
            return "being fetched" not in why and why

        return wait_until(failed, "a failure")
