"""Where our translations differ from LiteLLM's, and why. A row that no case needs fails the test."""

import collections
import re

import compare

# What prompts may ask for that a lane of this kind can't be asked: they are sent to other lanes.
REFUSED = {
    "converse": {"choices"},
    "generate-content": set(),
    "messages": {"choices"},
    "responses": {"choices"},
}

Row = collections.namedtuple("Row", "to way path holds reason")

ABSENT = compare.ABSENT
TABLE = []


def explaining(to, way, path, ours, theirs, case):
    for row in TABLE:
        if row.to == to and row.way == way and re.fullmatch(row.path, path):
            if row.holds(ours, theirs, case):
                return row
    return None
