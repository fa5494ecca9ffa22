"""Programs that answer each line of JSON with one."""

import json
import subprocess

SECONDS_MAX = 400


def exchange(command, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([str(part) for part in command], input=text, capture_output=True,
                          text=True, timeout=SECONDS_MAX)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    out = [json.loads(line) for line in done.stdout.splitlines()]
    if len(out) != len(lines):
        raise AssertionError(f"{len(lines)} asked, {len(out)} answered:\n{done.stderr[-3000:]}")
    return out
