#!/usr/bin/env bash
# Counts the instructions of a fixed update (bench/fixed_update.cpp) with callgrind, which does not depend on how busy the
# machine is, and compares them with bench/fixed_update.instructions: more than 5 % above it is an error.
#   scripts/check_instructions.sh            checks
#   scripts/check_instructions.sh --update   writes what was counted into the file
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

update=false
case "${1:-}" in
  "") ;;
  --update) update=true ;;
  *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
esac

build release megin_fixed_update
record=bench/fixed_update.instructions
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The program switches counting on for its updates: loading libtorch would take minutes, and differs between machines.
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 valgrind --tool=callgrind --callgrind-out-file="$folder/out" \
  --instr-atstart=no build/release/bench/megin_fixed_update >"$folder/log" 2>&1 ||
  { cat "$folder/log" >&2; exit 1; }
found=$(awk '$1 == "totals:" { print $2; exit }' "$folder/out")
[[ "$found" =~ ^[1-9][0-9]*$ ]] || { echo "callgrind counted nothing: $(tail -3 "$folder/log")" >&2; exit 1; }

if $update; then
  echo "$found" >"$record"
  echo "$record: $found"
  exit 0
fi
before=$(<"$record")
awk -v found="$found" -v before="$before" 'BEGIN {
  change = 100 * (found / before - 1)
  printf "%.1f million instructions, %+.1f %% against bench/fixed_update.instructions\n", found / 1e6, change
  if (change > 5) { print "wanted at most +5 %: find the cause, or say why and run scripts/check_instructions.sh --update"; exit 1 }
  if (change < -5) print "much fewer: run scripts/check_instructions.sh --update, so that the gain is kept"
}'
