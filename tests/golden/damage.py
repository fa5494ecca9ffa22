"""Copies of a JSON value that are wrong in one place each."""

import json
import re


def _changed(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return "another" if value is None else value + "x"


def _places(value, path, steps):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in list(items):
        here = f"{path}.{step}" if isinstance(value, dict) else f"{path}[{step}]"
        yield here, [*steps, step], inner
        if isinstance(inner, (dict, list)):
            yield from _places(inner, here, [*steps, step])


def kind(path):
    """The path of all places of this kind."""
    return re.sub(r"\[\d+\]", "[]", path)


def damaged(value, wanted):
    """(path, how, a copy) for each place that `wanted(kind of path, how)` wants: without it, or,
    of a leaf, with another value."""
    for path, steps, inner in _places(value, "", []):
        for how in ("lost",) if isinstance(inner, (dict, list)) else ("lost", "changed"):
            if not wanted(kind(path), how):
                continue
            copy = json.loads(json.dumps(value))
            holder = copy
            for step in steps[:-1]:
                holder = holder[step]
            if how == "lost":
                del holder[steps[-1]]
            else:
                holder[steps[-1]] = _changed(inner)
            yield path, how, copy
