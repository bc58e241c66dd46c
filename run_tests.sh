#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=scripts/common.sh
source scripts/common.sh

usage() {
  cat <<'TXT'
usage: ./run_tests.sh [PRESET]
  PRESET   release (default), dev, or without libtorch: serve, asan, tsan (CMakePresets.json)
Tests on real data run where MEGIN_DATA names the folder with it, and are skipped elsewhere.
TXT
}

preset=release
case "${1:-}" in
  "") ;;
  -h | --help) usage; exit 0 ;;
  release | dev | serve | asan | tsan) preset=$1 ;;
  *) usage >&2; exit 2 ;;
esac

case "$preset" in
  serve | asan | tsan) scripts/install_dependencies.sh --serve ;;
  *) scripts/install_dependencies.sh ;;
esac

start=$SECONDS
build "$preset"
echo "built build/$preset in $(duration $((SECONDS - start)))"
ctest --preset "$preset" --parallel "$(build_jobs)"
