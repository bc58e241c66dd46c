#!/usr/bin/env bash
# Fetches real parallel text: the gettext catalogues (.mo) of applications translated into German, out of Debian's own
# packages. Nothing is installed: packages are downloaded, their catalogues are unpacked, the rest is thrown away.
#   scripts/fetch_quickstart_data.sh DIR      writes DIR/PACKAGE/NAME.mo; does nothing when DIR exists
# The texts come under the licences of their packages (GPL, LGPL, MPL and the like).
set -euo pipefail

if (($# != 1)) || [[ $1 == -* ]]; then
  sed -n '4s/^# *//p' "$0" >&2
  exit 2
fi
directory=$1
if [[ -d $directory ]]; then
  echo "quickstart data: $directory is there already"
  exit 0
fi

# Desktop programs with many sentences for their size. (Compilers and shell tools have more, in a German that only their
# messages know.)
packages=(
  libreoffice-l10n-de git gramps gnucash-common vlc-l10n evolution-common darktable audacity-data
  claws-mail-i18n gnumeric-common libgtk-3-common krita-l10n pidgin-data
)

available_packages() {
  apt-cache show --no-all-versions "${packages[@]}" 2>/dev/null | awk '$1 == "Package:" { print $2 }' | sort -u
}

if ! command -v apt-get >/dev/null; then
  echo "fetch_quickstart_data: needs apt; give ./quickstart.sh files of your own with --data DIR" >&2
  exit 1
fi
mapfile -t available < <(available_packages)
if ((${#available[@]} < ${#packages[@]} / 2)); then
  # A fresh system has no list of packages yet.
  if [[ $(id -u) == 0 ]]; then apt-get update -qq; else sudo apt-get update -qq; fi
  mapfile -t available < <(available_packages)
fi
if ((${#available[@]} == 0)); then
  echo "fetch_quickstart_data: apt knows none of ${packages[*]}; give ./quickstart.sh files of your own with --data DIR" >&2
  exit 1
fi

mkdir -p "$(dirname "$directory")"
partial=$(mktemp -d "$directory.XXXXXX")
trap 'rm -rf "$partial"' EXIT
chmod 755 "$partial"
mkdir "$partial/packages" "$partial/catalogues"
echo "quickstart data: downloading ${#available[@]} packages: ${available[*]}"
# The user that apt drops to may not write here, which would only give a warning.
(cd "$partial/packages" && apt-get download -qq -o APT::Sandbox::User=root "${available[@]}")

for archive in "$partial"/packages/*.deb; do
  name=$(basename "$archive")
  target=$partial/catalogues/${name%%_*}
  mkdir "$target"
  # A package without German catalogues is no reason to stop.
  dpkg-deb --fsys-tarfile "$archive" |
    tar --extract --directory "$target" --wildcards --transform 's|.*/||' '*/de/LC_MESSAGES/*.mo' 2>/dev/null || true
done
find "$partial/catalogues" -type d -empty -delete
count=$(find "$partial/catalogues" -name '*.mo' | wc -l)
if ((count == 0)); then
  echo "fetch_quickstart_data: the packages held no German catalogues; give ./quickstart.sh files with --data DIR" >&2
  exit 1
fi
mv "$partial/catalogues" "$directory"
echo "quickstart data: $count catalogues in $directory"
