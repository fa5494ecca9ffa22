#!/bin/bash
# Spillway from nothing on a bare Debian 12: installs what is needed, builds the binary, and shows
# one run over three simulated pools, killed in the middle and resumed, with the proof that nothing
# was lost and nothing answered twice. Costs nothing, contacts no provider.
#   deploy/quickstart.sh [--keep DIR]     --keep: leave prompts, results and binary in DIR
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
here="$root/deploy"
prompts=2400
dir=""
keep=""

usage() {
  echo "usage: deploy/quickstart.sh [--keep DIR]" >&2
  exit 2
}
while [[ $# -gt 0 ]]; do
  case "$1" in
    --keep) [[ $# -ge 2 ]] || usage; keep="$2"; shift 2 ;;
    *) usage ;;
  esac
done

bold="" plain=""
[[ -t 1 ]] && bold=$'\e[1m' plain=$'\e[0m'
heading() { printf '\n%s== %s ==%s\n' "$bold" "$1" "$plain"; }
fail() {
  printf 'quickstart: %s\n' "$@" >&2
  exit 1
}

simulator_pid="" run_pid=""
clean_up() {
  local pid
  for pid in $run_pid $simulator_pid; do
    kill -TERM "$pid" 2> /dev/null && wait "$pid" 2> /dev/null || true
  done
  if [[ -n "$dir" && -z "$keep" ]]; then rm -rf "$dir"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Shows a log only when its command fails.
quietly() {
  local log="$1"
  shift
  "$@" > "$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
}

# An existing release build is brought up to date, whatever it was configured with.
build() {
  local build="$root/build/release" log="$dir/build.log"
  if [[ ! -f "$build/build.ninja" ]]; then
    quietly "$log" cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      -DBUILD_TESTING=OFF || fail "configuring failed (see above)."
  fi
  quietly "$log" cmake --build "$build" --target spillway -j "$(nproc)" ||
    fail "the build failed (see above)."
  quietly "$log" cmake --install "$build" --prefix "$dir/install" || fail "installing failed."
}

start_simulator() {
  "$spillway" simulate -c sim.yaml --ready-file ready.json > simulator.log 2>&1 &
  simulator_pid=$!
  local tries=0
  while [[ ! -f ready.json ]]; do
    kill -0 "$simulator_pid" 2> /dev/null ||
      fail "the simulator did not start: $(cat simulator.log)"
    [[ $((++tries)) -lt 300 ]] || fail "the simulator was not ready within 30 s."
    sleep 0.1
  done
  simulator_url="$(python3 -c 'import json; print(json.load(open("ready.json"))["url"])')"
}

show_command() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }
# Lines, or 0 while the file does not exist yet.
rows_in() { wc -l 2> /dev/null < "$1" || echo 0; }

run_until_killed() {
  local target="$1"
  show_command "${run_command[@]}"
  "$spillway" "${run_command[@]:1}" &
  run_pid=$!
  while [[ "$(rows_in results.jsonl)" -lt "$target" ]]; do
    kill -0 "$run_pid" 2> /dev/null || fail "the run ended before it could be killed."
    sleep 0.1
  done
  kill -KILL "$run_pid"
  wait "$run_pid" 2> /dev/null || true
  run_pid=""
  printf '\n%s>>> this script: kill -9, with %s result rows on disk%s\n\n' \
    "$bold" "$(rows_in results.jsonl)" "$plain"
}

run_to_the_end() {
  show_command "${run_command[@]}"
  local code=0
  "$spillway" "${run_command[@]:1}" &
  run_pid=$!
  wait "$run_pid" || code=$?
  run_pid=""
  [[ "$code" -eq 0 ]] || fail "the resumed run ended with exit code $code, expected 0."
}

heading "Installing what is needed"
"$here/setup.sh"
if [[ -n "$keep" ]]; then
  mkdir -p "$keep"
  dir="$(cd "$keep" && pwd)"
  [[ -z "$(ls -A "$dir")" ]] || { dir=""; fail "$keep is not empty; name a new folder."; }
else
  dir="$(mktemp -d)"
fi

heading "Building spillway"
started=$SECONDS
build
cd "$dir"
spillway="$dir/install/bin/spillway"
echo "$("$spillway" --version), built and installed in $((SECONDS - started)) s"
shown_from=$SECONDS

python3 "$here/make_prompts.py" --count "$prompts" --seed 7 -o prompts.jsonl
sed 's/^listen: .*/listen: 127.0.0.1:0/' "$here/examples/sim.yaml" > sim.yaml
start_simulator
sed "s|http://127.0.0.1:8089|$simulator_url|" "$here/examples/pools-sim.yaml" > pools.yaml
export SIM_KEY=sim-key

heading "1. $prompts prompts, three pools, each too small alone"
python3 "$here/quickstart_report.py" pools sim.yaml prompts.jsonl

heading "2. The run: the cheapest pool fills up, prompts spill to the next (killed half-way)"
run_command=(spillway run prompts.jsonl -o results.jsonl -c pools.yaml)
run_until_killed $((prompts * 2 / 5))
"$spillway" status -o results.jsonl

heading "3. The same command again: it goes on where it was"
run_to_the_end

"$spillway" status -o results.jsonl --json > status.json
python3 -c 'import sys, urllib.request as web
direct = web.build_opener(web.ProxyHandler({}))
sys.stdout.buffer.write(direct.open(sys.argv[1] + "/_sim/stats", timeout=10).read())' \
  "$simulator_url" > stats.json

heading "4. The proof"
python3 "$here/quickstart_report.py" proof prompts.jsonl results.jsonl results.errors.jsonl \
  stats.json status.json || fail "the proof failed; the lines above say where."

heading "5. One result row"
python3 "$here/quickstart_report.py" row results.jsonl

heading "6. The same prompts with one pool alone"
python3 "$here/quickstart_report.py" costs sim.yaml prompts.jsonl results.jsonl status.json

printf '\nShown in %d s.' $((SECONDS - shown_from))
if [[ -n "$keep" ]]; then
  printf ' Everything is in %s.\n' "$dir"
else
  printf ' Nothing of it is left; --keep DIR keeps prompts, results and binary.\n'
fi
echo "Next: README.md, section \"Your own prompts\"."
