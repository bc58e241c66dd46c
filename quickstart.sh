#!/usr/bin/env bash
# From nothing to a first translation model: see usage below. Steps that are done already are skipped.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=scripts/common.sh
source scripts/common.sh

usage() {
  cat <<'TXT'
usage: ./quickstart.sh [--data DIR [--languages SOURCE-TARGET]] [--minutes N]
Installs what is missing, builds megin, trains a THOR model and shows what it translates.

  --data DIR         your own files instead of Debian's German catalogues: either train.SOURCE and train.TARGET (and
                     perhaps valid.* and test.*; line by line, as train.en and train.de), or any .tmx, .tsv, .po and
                     .mo files, in subfolders too; each also as .gz or .zst
  --languages X-Y    of these files, en-de unless given
  --minutes N        of training, 6 unless given; a finished run is trained on until it has had so many
TXT
}

wrong_call() {
  echo "quickstart: $1" >&2
  usage >&2
  exit 2
}

own_data=
languages=en-de
minutes=
while (($# > 0)); do
  case "$1" in
    --data) own_data=${2:-}; [[ -d $own_data ]] || wrong_call "--data: no folder '$own_data'"; shift 2 ;;
    --languages) languages=${2:-}; [[ $languages == ?*-?* ]] || wrong_call "--languages: wanted en-de or the like"; shift 2 ;;
    --minutes) minutes=${2:-}; [[ $minutes =~ ^[0-9]+([.][0-9]+)?$ ]] || wrong_call "--minutes: wanted a number"; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) wrong_call "unknown option '$1'" ;;
  esac
done
source_language=${languages%%-*}
target_language=${languages#*-}

name=quickstart
if [[ -n $own_data ]]; then
  own_data=$(realpath "$own_data")
  name=$(basename "$own_data")-$languages
  name=${name//[^A-Za-z0-9._-]/_}
fi
data=data/$name
run=runs/$name
recipe=$data/recipe.yaml
megin=build/release/megin

steps=6
step_number=0
step_start=0

begin_step() {
  step_number=$((step_number + 1))
  step_start=$SECONDS
  printf '\n[%d/%d] %s\n' "$step_number" "$steps" "$1"
}

end_step() {
  printf '      %s; %s since the start\n' "$(duration $((SECONDS - step_start)))" "$(duration "$SECONDS")"
}

# A text as YAML takes it whatever is in it.
quoted() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

# The file called $1, or the same with .gz or .zst; fails when there is none.
existing() {
  local path
  for path in "$1" "$1.gz" "$1.zst"; do
    if [[ -f $path ]]; then echo "$path"; return 0; fi
  done
  return 1
}

# "    - paths: [source, target]" for the files DIR/$2.SOURCE and DIR/$2.TARGET.
plain_corpus() {
  local source target
  source=$(existing "$1/$2.$source_language") && target=$(existing "$1/$2.$target_language") || return 1
  printf -- '- {format: plain, paths: [%s, %s]}\n' "$(quoted "$source")" "$(quoted "$target")"
}

# One corpus for each catalogue, memory or table in folder $1.
other_corpora() {
  local patterns=() format file
  for format in tmx tsv po mo; do
    patterns+=(-o -name "*.$format" -o -name "*.$format.gz" -o -name "*.$format.zst")
  done
  while IFS= read -r -d '' file; do
    printf '    - paths: [%s]\n' "$(quoted "$file")"
  done < <(find "$1" -type f \( "${patterns[@]:1}" \) -print0 | LC_ALL=C sort -z)
}

# Files as recipe keys: data.corpora, and data.split where valid and test sets are given.
describe_files() {
  local set corpus
  echo "  corpora:"
  if corpus=$(plain_corpus "$1" train); then
    echo "    $corpus"
    echo "  split:"
    for set in valid test; do
      if corpus=$(plain_corpus "$1" "$set"); then printf '    %s:\n      %s\n' "$set" "$corpus"; fi
    done
    echo "    valid_pairs: 500  # cut from train where no set is given"
  else
    other_corpora "$1"
  fi
}

write_recipe() {
  local description
  description=$(describe_files "$1")
  if [[ -z $own_data ]]; then
    description+=$'\n  cleaning: {max_words: 10}  # messages and labels: what so short a training can learn'
  fi
  [[ $description == *paths:* ]] ||
    wrong_call "$1 has neither train.$source_language and train.$target_language nor .tmx, .tsv, .po or .mo files"
  mkdir -p "$data"
  cat >"$recipe.new" <<TXT
# Written by quickstart.sh for the files that it found; edit it and run quickstart.sh again, or use it with
# megin prepare and megin train. Paths are relative to the folder that megin is started in.
include: ../../recipes/quickstart/thor.yaml
data:
  output: $(quoted "$data/prepared")
  source_language: $source_language
  target_language: $target_language
$description
train:
  run: $(quoted "$run")
TXT
  mv "$recipe.new" "$recipe"
}

# Five lines of the test set at equal distances, neither very short nor long; not the best ones.
show_samples() {
  awk -v reference="$2" -v translation="$3" '
    { source[NR] = $0; if (NF >= 4 && NF <= 16) chosen[++n] = NR
      getline r < reference; references[NR] = r; getline t < translation; translations[NR] = t }
    END { for (i = 0; i < 5 && i < n; i++) {
            k = chosen[1 + int(i * n / 5)]
            printf "\n      source       %s\n      reference    %s\n      megin        %s\n", source[k], references[k], translations[k] } }' "$1"
}

# Before anything takes time: files that are not there are a wrong call.
if [[ -n $own_data && ! -f $recipe ]]; then write_recipe "$own_data"; fi

begin_step "Packages that megin needs"
scripts/install_dependencies.sh
end_step

begin_step "Building $megin"
build release megin
end_step

begin_step "Data"
if [[ ! -f $recipe ]]; then
  scripts/fetch_quickstart_data.sh "$data/catalogues"
  write_recipe "$data/catalogues"
fi
if [[ -d $data/prepared ]]; then
  echo "      $data/prepared is there already, made of what $recipe names"
else
  "$megin" prepare "$recipe"
fi
end_step

begin_step "Training THOR for ${minutes:-6} minutes (Ctrl-C saves and leaves; running this again goes on)"
if [[ -d $run/model && -z $minutes ]]; then
  echo "      $run/model is there already; --minutes N trains it on"
else
  "$megin" train "$recipe" --resume --set "train.max_minutes=${minutes:-6}"
fi
if [[ ! -d $run/model ]]; then
  echo "      stopped before there was a model; run $0 again to go on"
  exit 0
fi
end_step

begin_step "Translating the test set, and its BLEU"
test_source=$data/prepared/test.src
test_target=$data/prepared/test.tgt
"$megin" translate "$run/model" --input "$test_source" --output "$run/test.$target_language"
"$megin" score "$run/test.$target_language" --ref "$test_target"
end_step

begin_step "Some of them, taken at equal distances"
show_samples "$test_source" "$test_target" "$run/test.$target_language"

again=./quickstart.sh
if [[ -n $own_data ]]; then again+=$(printf ' --data %q --languages %q' "$own_data" "$languages"); fi
cat <<TXT

Done in $(duration $SECONDS). Three commands to go on with:

  echo "The file could not be opened." | $megin translate $run/model
  $again --minutes 60    # trains on, up to an hour in all
  ./quickstart.sh --data FOLDER --languages en-fr    # your own translation memory: TMX, PO, MO, TSV or plain files
TXT
