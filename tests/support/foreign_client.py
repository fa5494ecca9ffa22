"""A Kafka client that was not written here: confluent-kafka from PyPI, installed once into a cache.

    kafka = foreign_client.load()             # the module confluent_kafka
"""

import fcntl
import importlib
import os
import pathlib
import subprocess
import sys

PACKAGE = "confluent-kafka==2.16.1"


def load():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    tag = f"{PACKAGE.replace('==', '-')}-py{sys.version_info[0]}{sys.version_info[1]}"
    folder = cache / "spillway" / tag
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            subprocess.run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade",
                 "--disable-pip-version-check", "--no-input", "--target", str(folder), PACKAGE],
                check=True, stdin=subprocess.DEVNULL)
            (folder / ".complete").touch()
    sys.path.insert(0, str(folder))
    return importlib.import_module("confluent_kafka")
