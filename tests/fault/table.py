"""The rows of the fault matrix, by number; each file rows_*.py adds its own."""

import collections

Row = collections.namedtuple("Row", "number fault expected ci run")
ROWS = {}


def row(number, fault, expected, ci=False):
    """Registers a function of a Bench as a row. `expected`: beyond lost 0 and duplicate 0."""

    def register(run):
        ROWS[number] = Row(number, fault, expected, ci, run)
        return run

    return register
