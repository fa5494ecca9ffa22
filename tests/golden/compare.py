"""Compares two JSON values and says where they differ."""

import json
import re

ABSENT = "(absent)"


def differences(ours, theirs, path=""):
    """(path, ours, theirs) for every place where the two differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        out = []
        for key in sorted(set(ours) | set(theirs)):
            out += differences(ours.get(key, ABSENT), theirs.get(key, ABSENT), f"{path}.{key}")
        return out
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return [(path, ours, theirs)]
        return [d for number, pair in enumerate(zip(ours, theirs))
                for d in differences(*pair, f"{path}[{number}]")]
    if isinstance(ours, bool) != isinstance(theirs, bool) or ours != theirs:
        return [(path, ours, theirs)]
    return []


def at(value, path):
    """What stands at a path as `differences` spells it."""
    for name, place in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
        try:
            value = value[int(place)] if place else value[name]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return value


def camel(key):
    head, *rest = key.split("_")
    return head + "".join(part.capitalize() for part in rest)


def camel_keys(value, but=()):
    """Google takes both spellings of a field; values under the names in `but` are the user's own."""
    if isinstance(value, list):
        return [camel_keys(one, but) for one in value]
    if not isinstance(value, dict):
        return value
    return {camel(k): v if camel(k) in but else camel_keys(v, but) for k, v in value.items()}


def short(value):
    text = value if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) < 300 else text[:300] + "…"
