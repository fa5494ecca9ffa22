#!/usr/bin/env python3
"""What the quickstart shows besides the run itself: the pools, the proof, one row, the costs.
Reads only files: the simulator's configuration and counters, prompts, results, `status --json`."""
import json
import math
import re
import sys
from collections import Counter
from datetime import datetime


def scalar(text):
    try:
        return float(text)
    except ValueError:
        return text


def read_pools(path):
    """Pools of a sim.yaml written as deploy/examples/sim.yaml is: one key a line, flow maps."""
    pools = []
    for line in open(path, encoding="utf-8"):
        found = re.match(r"\s+(- )?(\w+): (.*?)\s*(#.*)?$", line)
        if not found or line.lstrip().startswith("#"):
            continue
        if found[1]:
            pools.append({})
        value = found[3]
        if value.startswith("{"):
            value = {k: scalar(v) for k, v in re.findall(r"(\w+): ([^,}\s]+)", value)}
        pools[-1][found[2]] = value if isinstance(value, dict) else scalar(value)
    return pools


def read_rows(path):
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []


def read_status(path):
    """Of a run, or of a fleet's job."""
    status = json.load(open(path, encoding="utf-8"))
    return status.get("progress", status)


def calls_in_doubt(end):
    """How many calls the kill left open, and in words."""
    if "in_doubt_at_start" not in end:
        return end["maybe_billed"], f"{end['maybe_billed']} in doubt after the kill"
    in_doubt, adopted = end["in_doubt_at_start"], end["adopted"]
    return in_doubt, (f"{in_doubt + adopted} in flight at the kill ({adopted} of those had their "
                      "answer on disk: adopted, not sent again)")


def seconds(text):
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])


def duration(s):
    return f"{s:.0f} s" if s < 60 else f"{int(s) // 60} min {int(s) % 60:02} s"


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  " + "   ".join(cells).rstrip())


def mean_latency(pool):
    shape = pool["latency"]
    if isinstance(shape, str):
        return seconds(shape)
    return seconds(shape["median"]) * math.exp(shape.get("sigma", 0) ** 2 / 2)


def rate_charge(pool, input_tokens, max_tokens, output_tokens):
    """Tokens that count against tokens/min, by each provider's own rule."""
    return {"openai": max(input_tokens, max_tokens),
            "azure-openai": input_tokens + max_tokens}.get(pool["provider"],
                                                           input_tokens + output_tokens)


def time_alone(pool, calls):
    """Seconds the pool's quota needs for these calls (input, max, output tokens)."""
    quota = pool["quota"]
    needs = [0]
    if "rpm" in quota:
        needs.append(len(calls) / quota["rpm"] * 60)
    if "tpm" in quota:
        needs.append(sum(rate_charge(pool, *call) for call in calls) / quota["tpm"] * 60)
    if "concurrency" in quota:
        needs.append(len(calls) * mean_latency(pool) / quota["concurrency"])
    return max(needs)


def cost_alone(pool, calls):
    price, share = pool["price"], pool.get("cached_share", 0)
    total = 0
    for input_tokens, _, output_tokens in calls:
        cached = int(input_tokens * share)
        total += ((input_tokens - cached) * price["input"]
                  + cached * price.get("cached_input", price["input"])
                  + output_tokens * price["output"]) / 1e6
    return total


def show_pools(sim, prompts):
    requests = read_rows(prompts)
    kinds = Counter(r["custom_id"].split("-")[0] for r in requests)
    sizes = sorted(len(json.dumps(r)) for r in requests)
    print("  " + ", ".join(f"{n:,} of {kind}" for kind, n in kinds.most_common()))
    print(f"  a line has {sizes[0]:,} to {sizes[-1]:,} bytes, half of them less than "
          f"{sizes[len(sizes) // 2]:,}\n")
    rows = [("pool", "provider", "calls/min", "tokens/min", "at once", "USD per 1M in/out")]
    for pool in read_pools(sim):
        limits = [f"{pool['quota'][k]:,.0f}" if k in pool["quota"] else "-"
                  for k in ("rpm", "tpm", "concurrency")]
        rows.append((pool["name"], pool["provider"], *limits,
                     f"{pool['price']['input']:g} / {pool['price']['output']:g}"))
    table(rows)


def answer_text(row):
    return row["response"]["body"]["choices"][0]["message"]["content"]


def show_proof(prompts, results, errors, stats, status):
    ids_in = [r["custom_id"] for r in read_rows(prompts)]
    answers, failed = read_rows(results), read_rows(errors)
    out = Counter(r["custom_id"] for r in answers + failed)
    stats = json.load(open(stats, encoding="utf-8"))
    end = read_status(status)
    total = stats["total"] if "total" in stats else stats
    in_doubt, of_those = calls_in_doubt(end)
    lost = [i for i in ids_in if i not in out]
    repeated = [i for i, n in out.items() if n > 1]
    wrong = [r["custom_id"] for r in answers if not answer_text(r).startswith(f"[[re:{r['custom_id']}]]")]
    busy = [lane["pool"] for lane in end["lanes"] if lane["answered"] > 0]
    checks = [
        (not lost and not repeated and len(out) == len(ids_in),
         f"ids in {len(ids_in):,} = ids out {len(out):,}, each exactly once "
         f"(lost {len(lost)}, duplicates {len(repeated)})"),
        (not failed, f"error rows: {len(failed)}"),
        (not wrong, f"every answer belongs to its prompt (wrong: {len(wrong)})"),
        (total["distinct_ids"] == len(ids_in),
         f"calls the simulator took: {total['distinct_ids'] + total['repeated_ids']:,} for "
         f"{total['distinct_ids']:,} different prompts"),
        (total["repeated_ids"] <= in_doubt,
         f"re-sent: {total['repeated_ids']} <= {of_those}"),
        (total["billed_usd"] <= end["cost_usd"] + 1e-6 <= end["budget_usd"] + 1e-6,
         f"money: the simulator billed ${total['billed_usd']:.4f}, spillway accounts for "
         f"${end['cost_usd']:.4f} (in doubt at worst case), budget ${end['budget_usd']:.2f}"),
        (total["quota_violations"] == 0,
         f"quotas: {total['quota_violations']} violations, {total['refused_429']} of "
         f"{total['requests']:,} calls answered 429"),
        (len(set(busy)) == len(end["lanes"]), f"pools that took part: {', '.join(busy)}"),
    ]
    for good, text in checks:
        print(f"  {'ok  ' if good else 'FAIL'}  {text}")
    return all(good for good, _ in checks)


def show_row(results):
    """A short row whose prompt spilled to the last pool, or else the first row."""
    rows = read_rows(results)
    print(json.dumps(min(rows, key=lambda r: (r["spillway"]["pool"] != "openai-main",
                                              len(json.dumps(r)))), indent=2))


def show_costs(sim, prompts, results, status):
    limits = {r["custom_id"]: r["body"]["max_tokens"] for r in read_rows(prompts)}
    answers = read_rows(results)
    ours = [r["spillway"] for r in answers]
    calls = [(s["input_tokens"], limits[r["custom_id"]], s["output_tokens"])
             for r, s in zip(answers, ours)]
    times = [datetime.fromisoformat(s[k].replace("Z", "+00:00"))
             for s in ours for k in ("sent_at", "done_at")]
    took = (max(times) - min(times)).total_seconds()
    end = read_status(status)
    rows = [("", "cost", "time", "")]
    for pool in read_pools(sim):
        alone = time_alone(pool, calls)
        rows.append((f"{pool['name']} alone", f"${cost_alone(pool, calls):.4f}", duration(alone),
                     f"{alone / took:.1f} x"))
    rows.append(("spillway over all three", f"${end['cost_usd']:.4f}", duration(took), "1.0 x"))
    table(rows)
    print("\n  Alone: the same tokens at that pool's price, as fast as its quota lets them through.\n"
          "  Spillway: as it happened, with the kill, the pause and the calls in doubt.")


def main():
    command, files = sys.argv[1], sys.argv[2:]
    if command == "proof":
        sys.exit(0 if show_proof(*files) else 1)
    {"pools": show_pools, "row": show_row, "costs": show_costs}[command](*files)


if __name__ == "__main__":
    main()
