"""Servers that were not written here, as processes of a test: fetched once, pinned, on loopback."""

import json
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

from support import die_with_parent, wait_until

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))

import foreign_packages  # noqa: E402  (found through the line above)

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ForeignServer:
    """A server's process until the test ends; what it prints goes to files in the test's folder."""

    def __init__(self, case, name, command, env=None):
        self.name = name
        self._out, self._err = case.folder / f"{name}.stdout", case.folder / f"{name}.stderr"
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen([str(part) for part in command], cwd=case.folder,
                                            stdin=subprocess.PIPE, stdout=out, stderr=err, env=env,
                                            preexec_fn=die_with_parent)
        case.addCleanup(self.stop)

    def said(self):
        return self._out.read_text(errors="replace") + self._err.read_text(errors="replace")

    def wait_for(self, condition, what, seconds=60):
        def tried():
            assert self.process.poll() is None, f"{self.name} ended:\n{self.said()[-3000:]}"
            return condition()

        try:
            return wait_until(tried, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.name} said:\n{self.said()[-3000:]}") from None

    def first_line(self, what):
        return self.wait_for(lambda: self._out.read_text().partition("\n")[0] or None, what)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


def ask(url, body=None, headers=None, method=None):
    """(status, text) of a call that may be refused; None while nobody listens."""
    data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    if isinstance(data, str):
        data = data.encode()
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with _opener.open(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return None
