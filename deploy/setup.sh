#!/bin/bash
# Installs the Debian packages of deploy/packages.txt that are missing; does nothing when none is.
#   deploy/setup.sh           what the build and the quickstart need
#   deploy/setup.sh --kafka   that, and what a local broker needs (deploy/kafka-local.sh)
#   deploy/setup.sh --tests   all of that, and what the tests and benchmarks need
set -euo pipefail

list="$(dirname "${BASH_SOURCE[0]}")/packages.txt"

fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

# Package names of the list, without comments; the parts behind "# kafka" and "# tests" only when
# asked for.
wanted_packages() {
  local line
  while read -r line; do
    [[ "$line" == '# kafka' && -z "$1" ]] && return
    [[ "$line" == '# tests' && "$1" != --tests ]] && return
    [[ -z "$line" || "$line" == '#'* ]] || printf '%s\n' "$line"
  done < "$list"
}

missing_packages() {
  local name
  for name in "$@"; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" == installed ]] ||
      printf '%s\n' "$name"
  done
}

apt_log="$(mktemp)"
trap 'rm -f "$apt_log"' EXIT

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 \
    "$@" > "$apt_log" 2>&1
}

# One sync at the end instead of one for each of some 30,000 files: a minute less on a common disk.
install() {
  apt install -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io "$@" && sync
}

[[ $# -eq 0 || ( $# -eq 1 && "$1" =~ ^--(kafka|tests)$ ) ]] ||
  fail "usage: deploy/setup.sh [--kafka | --tests]"
command -v dpkg-query > /dev/null && command -v apt-get > /dev/null ||
  fail "this is not a Debian system; install the counterparts of deploy/packages.txt yourself."
mapfile -t wanted < <(wanted_packages "${1:-}")
mapfile -t missing < <(missing_packages "${wanted[@]}")
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "All ${#wanted[@]} packages are installed."
  exit 0
fi
[[ "$(id -u)" -eq 0 ]] ||
  fail "these packages are missing, and only root can install them: ${missing[*]}" \
    "Run this as root, or: sudo apt-get install --no-install-recommends ${missing[*]}"

echo "Installing ${#missing[@]} of ${#wanted[@]} packages: ${missing[*]}"
# The lists are fetched only when they are absent, or too old to name files that still exist.
if ! apt install -s --no-install-recommends "${missing[@]}" || ! install "${missing[@]}"; then
  hint="The packages are those of Debian 12 (bookworm)."
  # A source that can't be reached matters only if a package is missing because of it.
  apt update -o APT::Update::Error-Mode=any || {
    tail -n 15 "$apt_log" >&2
    hint="Is this machine online, and are its apt sources right? apt-get update failed, too."
  }
  install "${missing[@]}" || {
    tail -n 15 "$apt_log" >&2
    fail "apt-get install failed (see above). $hint" "Packages still needed: ${missing[*]}"
  }
fi
echo "Installed in ${SECONDS} s."
