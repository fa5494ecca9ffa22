#!/bin/bash
# Builds the fuzz targets and runs each for SPILLWAY_FUZZ_SECONDS (20), two at a time. Ends with 1
# when one of them found something; the input that did it is in build/fuzz/found.
#   tests/fuzz/run.sh [target ...]        e.g. tests/fuzz/run.sh answers_openai headers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export build="$PWD/build/fuzz" seconds="${SPILLWAY_FUZZ_SECONDS:-20}"
cmake --preset fuzz > /dev/null
cmake --build --preset fuzz -j "$(nproc)" --target spillway_fuzz
python3 tests/fuzz/seeds.py "$build/seeds"
mkdir -p "$build/found" "$build/log"
if [[ $# -eq 0 ]]; then
  mapfile -t targets < <(cd "$build/tests/fuzz" && find . -name 'fuzz_*' -type f -executable |
    sed 's|^\./fuzz_||' | sort)
else
  targets=("$@")
fi

run_one() {
  local name="$1" corpus="$build/corpus/$1" options=(-max_total_time="$seconds" -timeout=20
    -rss_limit_mb=1500 -max_len=6000 -print_final_stats=1 -verbosity=1)
  mkdir -p "$corpus" "$build/seeds/$name"
  # The leak checker needs ptrace, which containers may forbid.
  if ASAN_OPTIONS=detect_leaks="${SPILLWAY_FUZZ_LEAKS:-0}" "$build/tests/fuzz/fuzz_$name" "${options[@]}" \
    -artifact_prefix="$build/found/$name-" "$corpus" "$build/seeds/$name" \
    > "$build/log/$name" 2>&1; then
    awk -v name="$name" '/cov:/ { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
      /number_of_executed_units/ { runs = $2 }
      END { printf "%-26s %9d inputs, %5d edges\n", name, runs, cov }' "$build/log/$name"
  else
    printf '%-26s FAILED\n' "$name"
    tail -n 60 "$build/log/$name"
    return 1
  fi
}
export -f run_one
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run_one {}'
