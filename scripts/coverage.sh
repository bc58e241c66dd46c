#!/usr/bin/env bash
# Which lines of src/ the tests run: a table and the total, and an HTML report in build/coverage/report.
#   scripts/coverage.sh            everything
#   scripts/coverage.sh --serve    the column without libtorch only: a much shorter build
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

torch=ON
case "${1:-}" in
  "") ;;
  --serve) torch=OFF ;;
  *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
esac

scripts/install_dependencies.sh --dev
cmake --preset coverage -D MEGIN_TORCH=$torch --log-level=WARNING >/dev/null
build coverage
find build/coverage -name '*.gcda' -delete
ctest --preset coverage --parallel "$(build_jobs)"
mkdir -p build/coverage/report
gcovr --root . --object-directory build/coverage --filter src/ --exclude '.*_test\.cpp' \
  --exclude-throw-branches --html-details build/coverage/report/index.html --txt - --print-summary build/coverage
