#!/usr/bin/env bash
# Installs the Debian 12 packages that megin needs; the only place that names them. What is there already is left
# alone, and when nothing is missing neither network nor root is needed.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: scripts/install_dependencies.sh [--serve] [--dev] [--list]
  (none)    what building and testing everything takes
  --serve   the same without libtorch: for the serve preset, on a machine that only translates
  --dev     also what .ci/run and scripts/coverage.sh use: formatter, linters, coverage, callgrind, a browser
  --list    print the packages, one a line, and install nothing
TXT
}

build_tools=(g++ cmake ninja-build pkg-config ccache git ca-certificates)

libraries=(
  libspdlog-dev libfmt-dev               # logging, formatted text
  libyaml-cpp-dev nlohmann-json3-dev     # configurations; model directories, logs, --json
  libcli11-dev                           # command lines
  zlib1g-dev libzstd-dev                 # .gz and .zst corpora
  libexpat1-dev                          # TMX
  libicu-dev                             # Unicode
  libsentencepiece-dev                   # subword models
  libxxhash-dev                          # checksums, duplicates
  libhwy-dev                             # SIMD kernels of the inference path
)

# Without the pthread OpenBLAS apt gives libtorch the reference BLAS, which is many times slower.
training=(libtorch-dev libopenblas0-pthread)

test_libraries=(
  libgtest-dev libgmock-dev
  protobuf-compiler libprotobuf-dev      # read TensorBoard events back with their own definitions
)

check_tools=(
  clang-format clang-tidy shellcheck gcovr valgrind
  chromium                               # looks at the pages of megin report
)

with_training=true
with_checks=false
list_only=false
for argument in "$@"; do
  case "$argument" in
    --serve) with_training=false ;;
    --dev) with_checks=true ;;
    --list) list_only=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

packages=("${build_tools[@]}" "${libraries[@]}" "${test_libraries[@]}")
if $with_training; then packages+=("${training[@]}"); fi
if $with_checks; then packages+=("${check_tools[@]}"); fi

if $list_only; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "install_dependencies: this script knows Debian 12 only; on another system install what these packages hold:" >&2
  echo "  ${packages[*]}" >&2
  exit 1
fi

# dpkg-query fails when it does not know one of the packages, which only says that this one is missing.
installed=$(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null |
  awk '$2 == "installed" { print $1 }' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done

if ((${#missing[@]} == 0)); then
  echo "dependencies: all ${#packages[@]} packages are installed"
  exit 0
fi

as_root=()
if [[ $(id -u) != 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "install_dependencies: needs root to install ${missing[*]}; run it as root once, or install sudo" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "dependencies: installing ${#missing[@]} of ${#packages[@]} packages: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "dependencies: done"
