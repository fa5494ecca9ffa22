#!/usr/bin/env python3
"""The fault matrix: a real broker, a fleet of the installed binary, simulated providers, and one
fault after another. Prints a table; exit code 1 when any row failed.

    tests/fault/run.py                     all rows, 20,000 prompts each
    tests/fault/run.py --rows 1,3,12       some of them
    tests/fault/run.py --subset ci         those that fit into five minutes, with fewer prompts

The binary is `spillway` on PATH, $SPILLWAY_BIN or --spillway."""

import argparse
import importlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

PROMPTS, PROMPTS_CI = 20_000, 1_500


def parse(rows):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", help="numbers, with commas")
    parser.add_argument("--subset", choices=["ci"])
    parser.add_argument("--prompts", type=int, help="a row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", metavar="DIR", help="logs of all rows; else of failed ones only")
    parser.add_argument("--json", metavar="FILE", help="write the table as JSON")
    parser.add_argument("--spillway", help="the binary under test")
    parser.add_argument("--list", action="store_true", help="show the rows and end")
    args = parser.parse_args()
    if args.rows:
        args.chosen = [int(n) for n in args.rows.split(",")]
        unknown = set(args.chosen) - set(rows)
        if unknown:
            parser.error(f"no such rows: {sorted(unknown)}")
    else:
        args.chosen = [n for n in sorted(rows) if rows[n].ci or not args.subset]
    args.prompts = args.prompts or (PROMPTS_CI if args.subset else PROMPTS)
    return args


def run_row(row, broker, folder, args):
    from fleet import Bench

    folder.mkdir()
    bench = Bench(row.number, broker, folder, args.prompts, bool(args.subset), args.seed)
    began = time.monotonic()
    try:
        broker.start()  # as it is while it runs; again when the row before has left it dead
        row.run(bench)
    except Exception as failure:
        bench.outcome.problems.append(f"{type(failure).__name__}: {failure}")
        (folder / "traceback.txt").write_text(traceback.format_exc())
    bench.close()
    bench.outcome.seconds = time.monotonic() - began
    if not args.keep and not bench.outcome.problems:
        shutil.rmtree(folder, ignore_errors=True)
    return bench.outcome


def cells(row, outcome):
    return [
        str(row.number),
        row.fault,
        str(outcome.lost),
        str(outcome.duplicates),
        str(outcome.resent),
        str(outcome.bound),
        row.expected,
        f"{outcome.seconds:.0f}",
        "FAIL" if outcome.problems else "ok",
    ]


def show(results):
    lines = [
        ["#", "fault", "lost", "dup", "re-sent", "bound", "expected beyond", "s", ""],
        *[cells(row, outcome) for row, outcome in results],
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    right = {0, 2, 3, 4, 5, 7}
    print()
    for line in lines:
        print(
            "  ".join(
                cell.rjust(w) if i in right else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(line, widths))
            ).rstrip()
        )


def main():
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    if "--spillway" in sys.argv:  # before the modules that read it are loaded
        at = sys.argv.index("--spillway") + 1
        os.environ["SPILLWAY_BIN"] = str(pathlib.Path(sys.argv[at]).resolve())
    importlib.import_module("fleet")  # it knows where the others are
    for name in ("broker", "index", "kill", "provider", "size"):
        importlib.import_module("rows_" + name)
    from kafka_local import Broker
    from table import ROWS

    args = parse(ROWS)
    if args.list:
        for row in (ROWS[n] for n in sorted(ROWS)):
            print(f"{row.number:3}  {'ci' if row.ci else '  '}  {row.fault}: {row.expected}")
        return
    folder = pathlib.Path(args.keep or tempfile.mkdtemp(prefix="spillway-fault-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    began, results = time.monotonic(), []
    with Broker(folder / "kafka") as broker:
        for number in args.chosen:
            row = ROWS[number]
            outcome = run_row(row, broker, folder / f"row{number}", args)
            results.append((row, outcome))
            print(
                f"{'FAIL' if outcome.problems else 'ok  '} {number:3} {row.fault} "
                f"({outcome.seconds:.0f} s)",
                flush=True,
            )
            for text in (*outcome.notes, *outcome.problems):
                print("         " + text.replace("\n", "\n         "), flush=True)
    show(results)
    failed = [row.number for row, outcome in results if outcome.problems]
    if args.json:
        pathlib.Path(args.json).write_text(
            json.dumps(
                [
                    {"row": row.number, "fault": row.fault, **vars(outcome)}
                    for row, outcome in results
                ],
                indent=1,
            )
            + "\n"
        )
    if failed or args.keep:
        print(f"\nLogs: {folder}")
        shutil.rmtree(folder / "kafka", ignore_errors=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{args.prompts:,} prompts a row, {time.monotonic() - began:.0f} s\n")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
