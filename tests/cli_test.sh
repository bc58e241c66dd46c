#!/usr/bin/env bash
# Calls of the program that are wrong, and what it says: exit code, message, nothing on standard output.
# Usage: cli_test.sh PATH_OF_MEGIN
set -u
megin=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0

fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}

# expect CODE TEXT ARGUMENTS...: the call ends with CODE, and its one line on standard error holds TEXT.
expect() {
  local code=$1 text=$2
  shift 2
  "$megin" "$@" >out 2>err </dev/null
  local found=$?
  [ "$found" = "$code" ] || fail "megin $*: wanted exit code $code, found $found: $(cat err)"
  grep -qF -- "$text" err || fail "megin $*: wanted '$text', found '$(cat err)'"
  [ "$(wc -l <err)" = 1 ] || fail "megin $*: wanted one line of error, found $(wc -l <err)"
  grep -q '^megin: error: ' err || fail "megin $*: wanted 'megin: error: ...', found '$(cat err)'"
  [ ! -s out ] || fail "megin $*: wanted nothing on standard output, found '$(head -c 200 out)'"
}

# shows TEXT ARGUMENTS...: the call succeeds, prints TEXT, and nothing on standard error.
shows() {
  local text=$1
  shift
  "$megin" "$@" >out 2>err </dev/null || fail "megin $*: wanted exit code 0, found $?: $(cat err)"
  grep -qF -- "$text" out || fail "megin $*: wanted '$text', found '$(head -c 500 out)'"
  [ ! -s err ] || fail "megin $*: wanted nothing on standard error, found '$(cat err)'"
}

shows "megin 0." --version
shows "megin COMMAND --help" --help
for command in prepare train translate score evaluate average info; do
  shows "Usage: megin $command" "$command" --help
  shows "Examples:" help "$command"
  # The stand-in for training in a build without it takes every option, to say so.
  grep -q "not in this build" out || expect 2 "megin $command: no option '--nonsense'" "$command" --nonsense
done
shows "train.optimizer.warmup " prepare --help-config

expect 2 "wanted a command: prepare, train, "
expect 2 "no command 'tarnslate'; did you mean 'translate'?" tarnslate
expect 2 "megin: no option '--vresion'; did you mean '--version'?" --vresion
expect 2 "megin prepare: no option '--ste'; did you mean '--set'?" prepare r.yaml --ste a=b
expect 2 "megin prepare: one argument too many: 'b.yaml'" prepare a.yaml b.yaml
expect 2 "CONFIG is required" prepare
expect 1 "nowhere.yaml" prepare nowhere.yaml

printf 'data:\n  output: out\n  corpora: []\nmodel:\n  widht: 3\n' >key.yaml
expect 2 "key.yaml:5:3: unknown key 'model.widht'; did you mean 'width'?" prepare key.yaml
printf 'data: {output: out, max_tokens: many}\n' >type.yaml
expect 2 "type.yaml:1:33: data.max_tokens: wanted an integer, found 'many'" prepare type.yaml
printf 'data: [unclosed\n' >syntax.yaml
expect 2 "syntax.yaml:2:1: not valid YAML" prepare syntax.yaml
# shellcheck disable=SC2016  # the recipe holds the dollar sign
printf 'data: {output: "${NO_SUCH_VARIABLE}/out"}\n' >variable.yaml
expect 2 "the variable NO_SUCH_VARIABLE has no value; set it in the environment" prepare variable.yaml
printf 'data: {output: out}\n' >good.yaml
expect 2 "data.corpora: wanted at least one corpus, found none" prepare good.yaml
expect 2 "--set method=dense: unknown key 'method'; did you mean 'train.method'?" prepare good.yaml --set method=dense
expect 2 "--set train.seed: wanted KEY=VALUE" prepare good.yaml --set train.seed
expect 1 "found nothing there" info no/such/model
expect 2 "Value 0 not in range" info . --length 0

# The quickest benchmark there is: both models, and a ratio to the first.
shows '{"experts":2,"dispatch":"sentence","batch":1,"beam":1,' bench decode --json --quiet --vocabulary 50 --length 3 \
  --sentences 2 --repeats 1 --expert-counts 1 2 --batch 1 --beam 1
grep -qF '"ratio_to_first":1.0}' out || fail "megin bench: wanted the first model's ratio to itself, found $(cat out)"
shows '{"experts":2,"dispatch":"router","batch":1,"beam":1,' bench decode --method switch --json --quiet --vocabulary 50 --length 3 \
  --sentences 2 --repeats 1 --expert-counts 1 2 --batch 1 --beam 1
expect 2 "experts are chosen by the model itself; wanted router" bench decode --method hash --experts ensemble --expert-counts 2
expect 2 "--method: wanted one of dense, dense_group_dropout" bench --method swich
expect 2 "--method: wanted a method with experts; found 'dense'" bench --method dense
expect 2 "megin report" plot . --event routing
expect 2 "Value 0 not in range" bench --batch 0
expect 2 "Value 0 not in range" bench --repeats 0
expect 2 "wanted decode; found 'encode'" bench encode
expect 2 "no preset 'nope'" bench --preset nope

# Results that cannot be written are a failure; a reader that leaves is none.
"$megin" prepare --help-config >/dev/full 2>err && fail "a full disk went unnoticed"
grep -q "cannot write the result to standard output: the disk is full" err || fail "full disk: $(cat err)"
(trap '' PIPE; "$megin" prepare --help-config 2>err; true) | true
[ ! -s err ] || fail "a closed pipe was reported: $(cat err)"

[ -e out/ ] && fail "a wrong call left output behind"
[ "$failures" = 0 ] && echo "all calls behaved"
exit "$((failures > 0))"
