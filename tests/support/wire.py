"""Reads Protobuf messages by field number, with no generated code: just what tests look at in the
fleet's records. The numbers are those of schemas/fleet_*.proto."""

import collections


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """{field number: last value}: numbers as unsigned integers, everything else as bytes."""
    return {number: values[-1] for number, values in repeated(data).items()}


def repeated(data):
    """{field number: all values}, in order."""
    found, at, end = collections.defaultdict(list), 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                if kind != 2:
                    raise ValueError(f"wire type {kind}")
                size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
            if len(value) != size:
                raise ValueError("the message is cut")
        found[tag >> 3].append(value)
    return found


Place = collections.namedtuple("Place", "offset index line_record generation")
Attempt = collections.namedtuple("Attempt", "place in_flight sends attempts deaths")
Journal = collections.namedtuple("Journal", "session kind attempts")
Facts = collections.namedtuple("Facts", "place kind job pool sends maybe_billed charged_nano_usd")
Late = collections.namedtuple("Late", "session kind facts attempts")

ANSWERED, FAILED, INVALID = range(3)


def place(data):
    found = fields(data)
    return Place(found.get(1, 0), found.get(2, 0), bool(found.get(3)), found.get(4, 0))


def attempts(data):
    """Of a message Attempts."""
    found = []
    for one in repeated(data).get(2, []):
        f = fields(one)
        found.append(
            Attempt(place(f.get(1, b"")), bool(f.get(5)), f.get(6, 0), f.get(7, 0), f.get(13, 0))
        )
    return found


_JOURNAL_KINDS = {3: "attempts", 4: "snapshot", 5: "hand_over", 6: "resumed", 7: "applied"}


def journal(data):
    """Of a message JournalRecord; `attempts` are those of this record itself, not of a snapshot."""
    found = fields(data)
    kind = next((name for number, name in _JOURNAL_KINDS.items() if number in found), "unknown")
    own = attempts(found[3]) if kind == "attempts" else []
    return Journal(found.get(2, b"").decode(), kind, own)


def facts(data):
    """Of a message ResultFacts."""
    f = fields(data)
    return Facts(
        place(f.get(2, b"")),
        f.get(3, 0),
        f.get(4, b"").decode(),
        f.get(5, b"").decode(),
        f.get(10, 0),
        f.get(11, 0),
        f.get(9, 0),
    )


def late(data):
    """Of a message LateRecord."""
    f = fields(data)
    session = f.get(2, b"").decode()
    if 3 in f:
        return Late(session, "result", facts(f[3]), [])
    if 4 in f:
        return Late(session, "ended", None, attempts(f[4]))
    return Late(session, "end", None, [])
