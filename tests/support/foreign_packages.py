"""Python packages that tests compare with: pinned versions in a virtual environment that is made
once and kept. Standard library only.

    python3 foreign_packages.py botocore==1.44.5 google-auth==2.62.0    prints the interpreter's path

    python = foreign_packages.interpreter("botocore==1.44.5")

Environments stand in SPILLWAY_TEST_TOOLS (else a folder of this user in the temporary one), one a
set of packages. Several processes may ask at once: one installs, the others wait."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

INSTALL_SECONDS_MAX = 900
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.!+]+")


class NotAvailable(RuntimeError):
    """The packages could not be installed; the message is what the installer said."""


def tools_folder():
    """Where tests keep what they fetched."""
    default = pathlib.Path(tempfile.gettempdir()) / f"spillway-test-tools-{os.getuid()}"
    return pathlib.Path(os.environ.get("SPILLWAY_TEST_TOOLS", default))


@contextlib.contextmanager
def locked(path):
    """Holds the lock file `path`; the lock ends with the process, however that ends."""
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*command):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=INSTALL_SECONDS_MAX)
    if done.returncode != 0:
        raise NotAvailable(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}")


def _install(folder, packages):
    # A half-made environment of a killed run is no use to anybody.
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", folder)
    _run(folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-input", "--prefer-binary",
         "--disable-pip-version-check", "--retries", "5", *packages)


def interpreter(*packages):
    """The python of an environment with exactly these pins, which is made when it is not there."""
    unpinned = [text for text in packages if not PINNED.fullmatch(text)]
    if unpinned or not packages:
        raise ValueError(f"expected NAME==VERSION, found {unpinned or 'nothing'}")
    packages = sorted(set(packages))
    version = "{}.{}".format(*sys.version_info)
    name = hashlib.sha256("\n".join([version, *packages]).encode()).hexdigest()[:12]
    root = tools_folder().resolve() / "python"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / name
    python, completed = folder / "bin" / "python", folder / "completed"
    if completed.exists():
        return python
    with locked(root / f"{name}.lock"):
        if not completed.exists():
            _install(folder, packages)
            completed.write_text("\n".join(packages) + "\n")
    return python


if __name__ == "__main__":
    try:
        print(interpreter(*sys.argv[1:]))
    except (ValueError, NotAvailable, subprocess.TimeoutExpired) as error:
        sys.exit(f"foreign_packages: {error}")
