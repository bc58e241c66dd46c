# Sourced by the tests of training: a work folder, a toy corpus, a recipe of a model that trains in seconds, and what
# compares two runs.
# shellcheck shell=bash

megin=$(realpath "${1:?wanted the path of megin}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

fail() {
  echo "FAILED: $1" >&2
  exit 1
}

shown() {
  echo "shown: $1"
}

# The next number of a fixed sequence (Park and Miller), between 0 and $1 - 1, in $drawn.
draw_state=20240229
draw() {
  draw_state=$((draw_state * 48271 % 2147483647))
  # shellcheck disable=SC2034  # for the caller: a subshell would forget the state
  drawn=$((draw_state % $1))
}

# 2,000 pairs of 3 to 8 words; each word has one translation, and word order stays. Always the same.
toy_corpus() {
  awk '
    function draw(n) { state = (state * 48271) % 2147483647; return state % n }
    BEGIN {
      state = 1
      words = split("one two three four five six seven eight nine ten red blue green cold warm old new big small tall", source)
      split("eins zwei drei vier fuenf sechs sieben acht neun zehn rot blau gruen kalt warme alt neu gross klein hoch", target)
      for (pair = 0; pair < 2000; ++pair) {
        left = right = ""
        for (length_left = 3 + draw(6); length_left > 0; --length_left) {
          word = 1 + draw(words)
          left = left source[word] (length_left > 1 ? " " : "")
          right = right target[word] (length_left > 1 ? " " : "")
        }
        print left >"toy.en"
        print right >"toy.de"
      }
    }'
}

# The toy's English side as a running text, a third of it for validation and test, and a recipe in toy.yaml of a language model
# with inserted experts: PREPARED UPDATES VALIDATED, the data folder, how many updates and between validations.
toy_text() {
  [[ -s toy.en ]] || toy_corpus
  awk 'NR % 12 == 0 { print "" } { print }' toy.en >text
  head -n 1600 text >train.txt
  sed -n '1601,1800p' text >valid.txt
  sed -n '1801,$p' text >test.txt
  cat >toy.yaml <<TXT
data:
  task: language_model
  output: $1
  corpora:
    - paths: [train.txt]
  split:
    valid: [{paths: [valid.txt]}]
    test: [{paths: [test.txt]}]
  subword: {vocabulary: 60, byte_fallback: false}
model:
  width: 16
  feed_forward: 32
  heads: 2
  decoder_layers: 2
  max_length: 32
  experts: {count: 4, body: insert, sublayers: 2}
train:
  method: stable_moe
  run: run
  threads: 1
  max_updates: $2
  batch_tokens: 512
  optimizer: {kind: adam, schedule: linear, learning_rate: 2e-2, warmup: 10, clip_norm: 0.1}
  validation: {every: $3}
  log_every: 4
TXT
}

toy_recipe() {
  cat >toy.yaml <<'TXT'
data:
  output: prepared
  corpora:
    - paths: [toy.en, toy.de]
  split: {valid_pairs: 30, test_pairs: 30}
  subword: {vocabulary: 90, byte_fallback: false}
model:
  width: 16
  feed_forward: 32
  heads: 2
  encoder_layers: 1
  decoder_layers: 1
  dropout: 0.1
  experts: {count: 2}
train:
  run: run
  threads: 1
  max_updates: 200
  batch_tokens: 256
  optimizer: {learning_rate: 2e-2, warmup: 20}
  validation: {every: 20}
  checkpoint_every: 7
  keep_checkpoints: 3
  log_every: 3
TXT
}

toy_data() {
  toy_corpus
  toy_recipe
  "$megin" prepare toy.yaml --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
}

# train RUN ARGUMENTS...: trains the toy into RUN; what it prints goes to RUN.out and RUN.err.
train() {
  local run=$1
  shift
  "$megin" train toy.yaml --set "train.run=$run" "$@" >"$run.out" 2>"$run.err" </dev/null
}

# must_train RUN ARGUMENTS...: the same, and it must succeed.
must_train() {
  train "$@" || fail "training into $1: exit code $?: $(cat "$1.err")"
}

# refused CODE TEXT RUN ARGUMENTS...: the training ends with CODE and one line of error that holds TEXT.
refused() {
  local code=$1 text=$2 found=0
  shift 2
  train "$@" || found=$?
  [[ $found == "$code" ]] || fail "training into $1: wanted exit code $code, found $found: $(cat "$1.err")"
  [[ $(grep -c '^megin: error: ' "$1.err") == 1 ]] || fail "training into $1: wanted one line of error: $(cat "$1.err")"
  grep '^megin: error: ' "$1.err" | grep -qF -- "$text" || fail "training into $1: wanted '$text': $(cat "$1.err")"
}

# The updates of a run's checkpoints, ascending.
checkpoints() {
  find "$1/checkpoints" -maxdepth 1 -name 'update-*[0-9]' -printf '%f\n' | sed 's/update-//' | sort -n
}

newest() {
  checkpoints "$1" | tail -n 1
}

# What a log tells of the training itself: updates and validations without their times and memory.
training_lines() {
  grep -E '"event":"(update|validation|routing)"' "$1/log.jsonl" |
    sed -E 's/"(cpu_seconds_per_1000_target_tokens|peak_resident_mib|resident_mib|target_tokens_per_second|updates_per_second|seconds|minutes|cpu_minutes)":[^,}]*,?//g'
}

# state.json without the times.
untimed_state() {
  sed -E 's/"(cpu_seconds|seconds)": ?[^,}]*//g' "$1"
}

# same_run STRAIGHT OTHER: all that training made is the same in both, and OTHER holds nothing else.
same_run() {
  local straight=$1 other=$2 update
  cmp "$straight/model/model.safetensors" "$other/model/model.safetensors" || fail "$other: another model"
  cmp "$straight/model/config.json" "$other/model/config.json" || fail "$other: the model's record differs"
  [[ $(newest "$straight") == "$(newest "$other")" ]] ||
    fail "$other: wanted update $(newest "$straight") to be the newest checkpoint, found $(newest "$other")"
  # Where a run was stopped it has a checkpoint that the other has not.
  for update in $(comm -12 <(checkpoints "$straight" | sort) <(checkpoints "$other" | sort)); do
    cmp {"$straight","$other"}/checkpoints/update-"$update"/state.safetensors || fail "$other: update $update differs"
    diff <(untimed_state "$straight/checkpoints/update-$update/state.json") \
      <(untimed_state "$other/checkpoints/update-$update/state.json") || fail "$other: the record of update $update differs"
  done
  [[ $(readlink "$straight/best") == "$(readlink "$other/best")" ]] ||
    fail "$other: wanted best to be $(readlink "$straight/best"), found $(readlink "$other/best")"
  if [[ -d $straight/routing ]]; then
    diff -r "$straight/routing" "$other/routing" || fail "$other: the routes of its validations differ"
  fi
  diff <(training_lines "$straight") <(training_lines "$other") || fail "$other: the log differs"
  json_lines "$other/log.jsonl"
  [[ -z $(find "$other" -name '*tmp*') ]] || fail "$other: left behind: $(find "$other" -name '*tmp*')"
}

# Every line of a file is one flat JSON object.
json_lines() {
  local value='("[^"\\]*"|-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null)'
  ! grep -nvE "^\{\"[a-z0-9_]+\":$value(,\"[a-z0-9_]+\":$value)*\}\$" "$1" || fail "$1: the line above is not JSON"
}
