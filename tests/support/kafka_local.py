"""Real brokers for integration and fault tests, through deploy/kafka-local.sh. Standard library only.

    with Broker() as broker:                  # or Broker(folder, {"message.max.bytes": 1048588})
        run(["spillway", "serve", ..., broker.bootstrap])
        broker.kill()                         # SIGKILL
        broker.start()                        # the same data, port and properties

A broker ends with the process that started it, also when that is killed."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "kafka-local.sh"
START_SECONDS_MAX = 300  # the first start fetches Kafka


class BrokerFailed(RuntimeError):
    """A broker did not start or stop; the message is what the script said."""


def _script(*arguments):
    # The broker keeps running: its files must not be pipes that somebody waits to be closed.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = subprocess.run(
            [str(SCRIPT), *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=START_SECONDS_MAX,
        ).returncode
        out.seek(0)
        err.seek(0)
        return code, out.read().decode().strip(), err.read().decode(errors="replace").strip()


class Broker:
    """One broker with a folder of its own: `folder`, or a temporary one that `close` removes."""

    def __init__(self, folder=None, properties=None, port=0):
        self._owned = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="spillway-kafka-"))
        self.properties = dict(properties or {})
        self.port = port
        self.bootstrap = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Waits until it answers. Does nothing while it runs; after an end, goes on with its data."""
        arguments = ["start", self.folder, "--port", self.port, "--until", os.getpid()]
        for key, value in self.properties.items():
            arguments += ["--property", f"{key}={value}"]
        code, out, err = _script(*arguments)
        if code != 0:
            raise BrokerFailed(err)
        self.bootstrap = out
        return self

    def stop(self):
        """A clean end."""
        self._end()

    def kill(self):
        """SIGKILL, also of a paused one."""
        self._end("--kill")

    def pause(self):
        """SIGSTOP: connections stay, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self):
        os.kill(self.pid, signal.SIGCONT)

    def close(self):
        if self.folder.exists():
            self.kill()
        if self._owned:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def running(self):
        return _script("status", self.folder)[0] == 0

    @property
    def pid(self):
        return int((self.folder / "kafka.pid").read_text())

    @property
    def log(self):
        return (self.folder / "kafka.log").read_text(errors="replace")

    def _end(self, *flags):
        code, _, err = _script("stop", self.folder, *flags)
        if code != 0:
            raise BrokerFailed(err)
