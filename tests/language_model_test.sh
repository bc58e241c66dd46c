#!/usr/bin/env bash
# A language model from its text to what it writes: prepared, trained with experts inserted, killed and resumed to the same
# bytes, measured on a text, and made to go on with prompts.
# Usage: language_model_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

toy_text prepared 120 20
cat >>toy.yaml <<'TXT'
  checkpoint_every: 7
  keep_checkpoints: 3
TXT
"$megin" prepare toy.yaml --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
grep -q '^| train |' prepared/report.md || fail "wanted a table of the splits in report.md"

must_train straight
grep -q '"word_perplexity"' straight/log.jsonl || fail "wanted a perplexity per word in the log"
[[ -d straight/routing ]] || fail "wanted snapshots of the routes"
"$megin" train toy.yaml --set train.run=killed --quiet >killed.out 2>&1 &
pid=$!
while ! [[ -e killed/checkpoints/update-42 || -e killed/checkpoints/update-49 ]] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
kill -KILL "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
must_train killed --resume
same_run straight killed
shown "a language model, killed and resumed: same bytes, log, routes and best"

# The last validation, in the log, against the command that reads the text and serves the model (which is the best one).
best=$(grep '"event":"validation"' straight/log.jsonl | grep -oE '"loss":[0-9.]+' | cut -d: -f2 | sort -g | head -n 1)
"$megin" evaluate straight --text valid.txt --json --quiet >evaluated.json
evaluated=$(grep -oE '"runs":\[\{"seed":[0-9]+,"loss":[0-9.]+' evaluated.json | grep -oE '[0-9.]+$')
awk -v a="$best" -v b="$evaluated" 'BEGIN { exit !(a - b < 1e-4 && b - a < 1e-4) }' ||
  fail "wanted evaluate to give the best validation's loss $best, found $evaluated"
of_json() { grep -oE "\"$1\":[0-9.]+" evaluated.json | head -n 1 | cut -d: -f2; }
awk -v bits="$(of_json bits_per_byte)" -v loss="$evaluated" -v tokens="$(of_json tokens)" -v bytes="$(wc -c <valid.txt)" \
  'BEGIN { wanted = loss * tokens / log(2) / bytes; exit !(bits - wanted < 1e-6 && wanted - bits < 1e-6) }' ||
  fail "wanted the loss $evaluated of $(of_json tokens) tokens as bits of $(wc -c <valid.txt) bytes, found $(of_json bits_per_byte)"
"$megin" evaluate straight --text valid.txt --threads 2 --batch-tokens 64 --json --quiet >again.json
losses() { grep -oE '"loss":[0-9.]+' "$1"; }
[[ $(losses evaluated.json) == "$(losses again.json)" ]] || fail "evaluate depends on its batches: $(cat again.json)"
awk -v loss="$evaluated" 'BEGIN { exit !(loss < 3.5) }' || fail "wanted the toy to be learnt, found a loss of $evaluated"
shown "megin evaluate --text gives the loss that training measured, $evaluated, at any batch size"

"$megin" generate straight --prompt "one two" --prompt "" --samples 3 --seed 4 --quiet >first.txt
[[ $(wc -l <first.txt) == 6 && $(grep -c '^one two' first.txt) -ge 3 ]] || fail "generate: $(cat first.txt)"
printf 'one two\n\n' | "$megin" generate straight --samples 3 --seed 4 --threads 2 --batch-tokens 8 --quiet >second.txt
cmp first.txt second.txt || fail "generate: the same prompts gave other texts"
"$megin" generate straight --prompt "one two" --many-lines --max-tokens 28 --json --quiet >texts.json
grep -q '"text":"one two.*\\n' texts.json || fail "generate --many-lines: wanted more than a line: $(cat texts.json)"
shown "megin generate goes on with prompts: the same bytes at any batch size and thread count"

# wrong_call TEXT ARGUMENTS...: megin refuses the call with exit code 2 and TEXT.
wrong_call() {
  local text=$1 code=0
  shift
  "$megin" "$@" <valid.txt >wrong.out 2>wrong.err || code=$?
  [[ $code == 2 ]] || fail "megin $*: wanted exit code 2, found $code: $(cat wrong.err)"
  grep -qF -- "$text" wrong.err || fail "megin $*: wanted '$text': $(cat wrong.err)"
}
wrong_call 'use megin generate' translate straight
wrong_call '--text FILE' evaluate straight --src valid.txt --ref valid.txt
refused 2 "train.validation.bleu" other --set train.validation.bleu=true
refused 2 "train.max_updates was 120, now 150" straight --resume --set train.max_updates=150
shown "what a language model cannot do is refused, with what to do instead"

# The same text in bytes, without its newlines; the cuts fall into lines. The file has no newline at its end.
printf '%s' "$(cat text)" >bytes.txt
sed -e '/^  corpora:/,/^  subword:/d' -e 's/language_model/bytes/; s/prepared/prepared_bytes/' \
  -e 's/^model:/  corpora: [{paths: [bytes.txt]}]\n  bytes: {newlines: drop, valid_bytes: 5000, test_bytes: 4001}\n&/' toy.yaml >bytes.yaml
"$megin" prepare bytes.yaml --quiet >bytes.out 2>&1 || fail "megin prepare: $(cat bytes.out)"
size=$(wc -c <bytes.txt)
cmp <(head -c $((size - 4001)) bytes.txt | tail -c 5000) prepared_bytes/valid.tgt || fail "wanted the 5,000 bytes before the last 4,001"
cmp <(tail -c 4001 bytes.txt) prepared_bytes/test.tgt || fail "wanted the last 4,001 bytes as the test"
cp toy.yaml words.yaml
cp bytes.yaml toy.yaml
must_train bytes --set train.max_updates=60
shown "bytes: prepared with cuts in the middle of lines, and trained"

bytes_of_test=$(tr -d '\n' <prepared_bytes/test.tgt | wc -c)
"$megin" evaluate bytes --text prepared_bytes/test.tgt --json --quiet >evaluated.json
[[ $(of_json tokens) == "$bytes_of_test" && $(of_json bytes) == "$bytes_of_test" ]] ||
  fail "wanted each of $bytes_of_test bytes to be scored once: $(cat evaluated.json)"
awk -v bits="$(of_json bits_per_byte)" -v loss="$(of_json loss)" 'BEGIN { exit !(bits * log(2) - loss < 1e-6 && loss - bits * log(2) < 1e-6) }' ||
  fail "wanted the loss in bits: $(cat evaluated.json)"
! grep -q word evaluated.json || fail "bytes have no words: $(cat evaluated.json)"
"$megin" evaluate bytes --text prepared_bytes/valid.tgt --json --quiet >evaluated.json
best=$(grep '"event":"validation"' bytes/log.jsonl | grep -oE '"bits_per_byte":[0-9.]+' | cut -d: -f2 | sort -g | head -n 1)
awk -v a="$best" -v b="$(of_json bits_per_byte)" 'BEGIN { exit !(b < 4.5 && a - b < 1e-4 && b - a < 1e-4) }' ||
  fail "wanted the best validation's $best bits a byte, found $(cat evaluated.json)"
shown "megin evaluate --text gives the bits a byte that training measured, $best"

"$megin" generate bytes --prompt "one two" --max-tokens 12 --samples 2 --quiet >written.txt
[[ $(wc -lc <written.txt | xargs) == "2 40" && $(grep -c '^one two' written.txt) == 2 ]] ||
  fail "generate: wanted twice 7 + 12 bytes and the end of the line: $(od -c written.txt)"
"$megin" average out bytes/model bytes/model --quiet && "$megin" info out --quiet >info.txt
cmp bytes/model/subword.model out/subword.model || fail "average: the vocabulary differs"
"$megin" prepare words.yaml --task bytes --overwrite >wrong.out 2>wrong.err && fail "wanted the subwords of words.yaml to be refused"
grep -qF "data.subword.vocabulary: wanted 8000, as data.task bytes does not read it" wrong.err || fail "prepare --task: $(cat wrong.err)"
shown "megin generate writes bytes, and a vocabulary of bytes goes where a subword model does"

# A memory over segments: what it holds belongs to a checkpoint. Two passes, which remember each its own.
segments=(--set model.positions=relative --set model.max_length=16 --set model.memory=24 --set model.evaluation_block=8
  --set train.method=thor --set model.experts.body=replace --set model.experts.sublayers=1 --set train.max_updates=60)
must_train remembering "${segments[@]}"
"$megin" train toy.yaml --set train.run=killed_remembering "${segments[@]}" --quiet >killed.out 2>&1 &
pid=$!
while ! [[ -e killed_remembering/checkpoints/update-21 || -e killed_remembering/checkpoints/update-28 ]] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
kill -KILL "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
[[ $(tail -n 1 killed_remembering/log.jsonl) != *'"reason":"max_updates"'* ]] || fail "wanted to kill the training before its end"
must_train killed_remembering --resume "${segments[@]}"
same_run remembering killed_remembering
"$megin" evaluate remembering --text prepared_bytes/valid.tgt --experts ensemble --json --quiet >evaluated.json
best=$(grep '"event":"validation"' remembering/log.jsonl | grep -oE '"bits_per_byte":[0-9.]+' | cut -d: -f2 | sort -g | head -n 1)
awk -v a="$best" -v b="$(of_json bits_per_byte)" 'BEGIN { exit !(b < 4.5 && a - b < 1e-4 && b - a < 1e-4) }' ||
  fail "wanted the best validation's $best bits a byte, found $(cat evaluated.json)"
"$megin" generate remembering --prompt "one two" --max-tokens 100 --quiet >written.txt
[[ $(wc -c <written.txt) == 108 ]] || fail "generate: wanted 7 + 100 bytes and the end of the line: $(od -c written.txt)"
shown "a model with a memory, killed and resumed: same bytes; measured as in training; writes beyond its segments"
