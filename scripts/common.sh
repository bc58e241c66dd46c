# Sourced by the scripts of this project, after `set -euo pipefail`.
# shellcheck shell=bash

# Compile jobs at once: one a processor, as far as memory goes (a file that sees libtorch takes about 1 GB).
build_jobs() {
  local processors gigabytes
  processors=$(nproc)
  gigabytes=$(awk '$1 == "MemAvailable:" { print int($2 / 1048576) }' /proc/meminfo)
  ((gigabytes >= 1)) || gigabytes=1
  echo $((processors < gigabytes ? processors : gigabytes))
}

# Configures a preset and builds it: build PRESET [TARGET ...]. One progress line on a terminal, silence elsewhere.
build() {
  local preset=$1 targets=() quiet=()
  shift
  if (($# > 0)); then targets=(--target "$@"); fi
  [[ -t 1 ]] || quiet=(--quiet)
  cmake --preset "$preset" --log-level=WARNING >/dev/null
  cmake --build --preset "$preset" --parallel "$(build_jobs)" "${targets[@]}" -- "${quiet[@]}"
}

# "3 min 05 s" for a number of seconds.
duration() {
  if (($1 < 60)); then
    echo "$1 s"
  else
    printf '%d min %02d s\n' $(($1 / 60)) $(($1 % 60))
  fi
}
