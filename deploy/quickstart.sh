#!/bin/bash
# Spillway from nothing on a bare Debian 12: installs what is needed, builds the binary, and shows
# one run over three simulated pools, killed in the middle and resumed, with the proof that nothing
# was lost and nothing answered twice. Costs nothing, contacts no provider.
#   deploy/quickstart.sh [--kafka] [--keep DIR]
#   --kafka   the same prompts by a fleet of three members on a local Kafka, one of them killed
#   --keep    leave prompts, results and binary in DIR
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
here="$root/deploy"
prompts=2400
dir=""
keep=""
fleet=""

usage() {
  echo "usage: deploy/quickstart.sh [--kafka] [--keep DIR]" >&2
  exit 2
}
while [[ $# -gt 0 ]]; do
  case "$1" in
    --kafka) fleet=yes; shift ;;
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
declare -A member_pid=()
clean_up() {
  local pid
  for pid in $run_pid "${member_pid[@]}" $simulator_pid; do
    kill -TERM "$pid" 2> /dev/null && wait "$pid" 2> /dev/null || true
  done
  if [[ -n "$dir" && -d "$dir/kafka" ]]; then "$here/kafka-local.sh" stop "$dir/kafka"; fi
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

# Starts a command in the background, shown as a user would type it: its pid is in `started_pid`.
start_shown() {
  show_command spillway "$@"
  "$spillway" "$@" &
  started_pid=$!
}

wait_for_rows() {
  local target="$1" pid="$2"
  while [[ "$(rows_in results.jsonl)" -lt "$target" ]]; do
    kill -0 "$pid" 2> /dev/null || fail "it ended before anything could be killed."
    sleep 0.1
  done
}

kill_shown() {
  local pid="$1" what="$2"
  kill -KILL "$pid"
  wait "$pid" 2> /dev/null || true
  printf '\n%s>>> this script: kill -9%s, with %s result rows on disk%s\n\n' \
    "$bold" "$what" "$(rows_in results.jsonl)" "$plain"
}

wait_for_success() {
  local pid="$1" what="$2" log="${3:-/dev/null}" code=0
  wait "$pid" || code=$?
  [[ "$code" -eq 0 ]] && return
  tail -n 5 "$log" >&2
  fail "$what ended with exit code $code, expected 0."
}

# One process: killed, and the same command again.
show_run() {
  local run=(run prompts.jsonl -o results.jsonl -c pools.yaml)
  heading "2. The run: the cheapest pool fills up, prompts spill to the next (killed half-way)"
  start_shown "${run[@]}"
  run_pid=$started_pid
  wait_for_rows $((prompts * 2 / 5)) "$run_pid"
  kill_shown "$run_pid" ""
  "$spillway" status -o results.jsonl

  heading "3. The same command again: it goes on where it was"
  start_shown "${run[@]}"
  run_pid=$started_pid
  wait_for_success "$run_pid" "the resumed run"
  run_pid=""
  "$spillway" status -o results.jsonl --json > status.json
}

# The pools, and where Kafka is; of a member also its own section.
fleet_config() {
  local member="${1:-}"
  cat pools.yaml
  printf 'kafka: { brokers: ["%s"], fleet: demo, partitions: 3, replication: 1 }\n' "$broker"
  [[ -z "$member" ]] || printf 'member: { id: %s, state: state-%s, listen: "127.0.0.1:0" }\n' \
    "$member" "$member"
}

start_member() {
  local member="$1"
  fleet_config "$member" > "$member.yaml"
  show_command spillway serve -c "$member.yaml" "&"
  "$spillway" serve -c "$member.yaml" > "$member.log" 2>&1 &
  member_pid[$member]=$!
}

stop_members() {
  local member
  for member in "${!member_pid[@]}"; do kill -TERM "${member_pid[$member]}"; done
  for member in "${!member_pid[@]}"; do
    wait_for_success "${member_pid[$member]}" "member $member" "$member.log"
  done
  member_pid=()
}

# Three members of a fleet: one killed, the others take over.
show_fleet() {
  local member
  heading "2. A fleet of three on Kafka: results are followed while they come (one is killed half-way)"
  broker="$("$here/kafka-local.sh" start "$dir/kafka" --until $$)"
  fleet_config > fleet.yaml
  show_command spillway topics create -c fleet.yaml
  "$spillway" topics create -c fleet.yaml
  show_command spillway submit prompts.jsonl --job demo -c fleet.yaml
  "$spillway" submit prompts.jsonl --job demo -c fleet.yaml
  for member in a b c; do start_member "$member"; done
  start_shown results demo -o results.jsonl --follow -c fleet.yaml
  run_pid=$started_pid
  wait_for_rows $((prompts * 2 / 5)) "$run_pid"
  kill_shown "${member_pid[b]}" " of member b"
  unset 'member_pid[b]'
  "$spillway" status demo -c fleet.yaml || [[ $? -eq 3 ]] # not finished

  heading "3. Nothing is started again: a and c take over what b had"
  wait_for_success "$run_pid" "spillway results"
  run_pid=""
  stop_members
  "$spillway" status demo -c fleet.yaml --json > status.json
}

heading "Installing what is needed"
"$here/setup.sh" ${fleet:+--kafka}
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

if [[ -n "$fleet" ]]; then show_fleet; else show_run; fi

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
