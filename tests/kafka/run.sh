#!/bin/bash
# Runs a program with a broker of its own, which ends with it.
#   tests/kafka/run.sh PROGRAM [ARGUMENTS]     SPILLWAY_KAFKA and SPILLWAY_KAFKA_DIR tell it where
set -euo pipefail
local_broker="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/deploy/kafka-local.sh"
dir="$(mktemp -d)"
clean_up() {
  "$local_broker" stop "$dir" --kill || true
  rm -rf "$dir"
}
trap clean_up EXIT
SPILLWAY_KAFKA="$("$local_broker" start "$dir" --until $$ \
  --property transaction.abort.timed.out.transaction.cleanup.interval.ms=1000)"
export SPILLWAY_KAFKA SPILLWAY_KAFKA_DIR="$dir"
"$@"
