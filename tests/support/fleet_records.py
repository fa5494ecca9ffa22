"""The fleet's wire records, written and read by hand: what schemas/fleet_*.proto say, not our code."""


def _varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def message(fields):
    """{number: int, bytes, str, bool, or a list of these} as a protobuf message."""
    out = b""
    for number, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str):
                value = value.encode()
            if isinstance(value, bytes):
                out += _varint(number << 3 | 2) + _varint(len(value)) + value
            else:
                out += _varint(number << 3) + _varint(int(value))
    return out


def parse(data):
    """{number: [values]}; nested messages stay bytes, packed numbers too."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        n, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            value = varint()
        elif kind == 2:
            size = varint()
            value, at = data[at : at + size], at + size
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = int.from_bytes(data[at : at + size], "little"), at + size
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def varints(data):
    """A packed repeated field of numbers."""
    out, n, shift = [], 0, 0
    for byte in data:
        n |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            out.append(n)
            n, shift = 0, 0
    return out


ANSWERED, FAILED, INVALID, REFUSED = range(4)
KIND_NAMES = ("answered", "failed", "invalid", "refused")


def facts(job, offset, index=0, kind=ANSWERED, generation=0, line_record=False, code=""):
    place = message({1: offset, 2: index, 3: line_record, 4: generation})
    return message({1: 1, 2: place, 3: kind, 4: job})


def progress(job, partition, prompts, answered, errors=0, read_to=0, jobs_to=1 << 40, reason=""):
    return message({1: 1, 2: job, 3: partition, 4: "m", 5: 1_700_000_000_000, 6: read_to, 7: prompts,
                    8: answered, 9: errors, 14: 5_000_000, 16: "budget" if reason else "running",
                    17: reason, 19: jobs_to})


def final(job, prompts, answered, errors=0, outcome="completed"):
    return message({1: 1, 2: job, 3: outcome, 4: prompts, 5: answered, 6: errors, 9: 7_000_000,
                    11: 1_700_000_000_000, 12: 1_700_000_060_000})


def dead_letter(topic, partition, offset, key, value, headers, code, text):
    return message({1: 1, 2: topic, 3: partition, 4: offset, 5: key, 6: value,
                    7: [message({1: n, 2: v}) for n, v in headers], 8: code, 9: text,
                    10: 1_700_000_000_000, 11: "m"})
