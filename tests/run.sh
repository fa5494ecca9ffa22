#!/bin/bash
# Installs what is needed, builds the release preset, and runs every test.
#   tests/run.sh [ctest arguments]        e.g. tests/run.sh -L unit, tests/run.sh -R budget
#   tests/run.sh --build                  no tests
# Tests that use real data read it from the folder SPILLWAY_TEST_DATA names, else they generate it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

deploy/setup.sh --tests
cmake --preset release -DBUILD_TESTING=ON
cmake --build --preset release -j "$(nproc)"
[[ "${1:-}" == --build ]] || ctest --preset release --output-on-failure -j2 "$@"
