#!/usr/bin/env bash
# Word problems from a table with folds to the share that is solved: named columns and rows by a condition, numbers as whole
# symbols, experts whose number is chosen in use, and megin score --equations.
# Usage: equations_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

# 1,200 problems of four kinds, told by their verb; fold -1 is in every training set, the others are 0 to 4.
awk '
  function draw(n) { state = (state * 48271) % 2147483647; return state % n }
  BEGIN {
    OFS = "\t"
    state = 7
    names = split("tom ann ben eve sam ida max lea", name)
    things = split("pens books apples coins balls stamps", thing)
    print "fold", "numbers", "answer", "question", "equation"
    for (row = 0; row < 1200; ++row) {
      a = 2 + draw(60)
      b = 2 + draw(30)
      who = name[1 + draw(names)]
      what = thing[1 + draw(things)]
      first = who " has number0 " what " . "
      kind = draw(4)
      if (kind == 0) { value = a + b; sign = "+"; told = first "he gets number1 more ." }
      if (kind == 1) { value = a - b; sign = "-"; told = first "he loses number1 of them ." }
      if (kind == 2) { value = a * b; sign = "*"; told = who " has number0 boxes with number1 " what " each ." }
      if (kind == 3) { value = a / b; sign = "/"; told = first "he shares them with number1 friends ." }
      print (row == 0 ? -1 : row % 5), a ".0 " b, value, told, sign " number0 number1"
    }
  }' >problems.tsv
cat >toy.yaml <<'TXT'
data:
  output: prepared-${FOLD}
  target_language: equation
  corpora:
    - {paths: [problems.tsv], source_column: question, target_column: equation, where: "fold != ${FOLD}"}
  split:
    valid: [{paths: [problems.tsv], source_column: question, target_column: equation, where: "fold = ${FOLD}"}]
    test: [{paths: [problems.tsv], source_column: question, target_column: equation, where: "fold = ${FOLD}"}]
  cleaning: {max_ratio: 0, drop_duplicates: false, drop_leaks: false}
  subword: {kind: bpe, vocabulary: 120, byte_fallback: false, symbols: [number0, number1, "+", "-", "*", "/"]}
variables: {FOLD: 0}
model:
  width: 32
  feed_forward: 64
  heads: 2
  encoder_layers: 1
  decoder_layers: 1
  dropout: 0.1
  experts: {count: 4, every: 1, feed_forward: 16}
train:
  method: smoe_dropout
  run: run
  threads: 1
  max_updates: 200
  batch_tokens: 512
  optimizer: {schedule: cosine, learning_rate: 1e-2, warmup: 20}
  validation: {every: 0}
  log_every: 50
TXT

"$megin" prepare toy.yaml --set variables.FOLD=2 --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
[[ $(wc -l <prepared-2/test.src) == 240 ]] || fail "wanted the 240 problems of fold 2, found $(wc -l <prepared-2/test.src)"
awk -F'\t' '$1 == 2 { print $4 }' problems.tsv | cmp - prepared-2/test.src || fail "wanted the questions of fold 2 as they are"
awk -F'\t' '$1 == 2 { print $5 }' problems.tsv | cmp - prepared-2/test.tgt || fail "wanted the equations of fold 2 as they are"
shown "a fold of a table is a test set, row by row"

"$megin" score prepared-2/test.tgt --equations problems.tsv --where "fold = 2" --quiet >score.out || fail "megin score"
grep -qF 'solved = 100.0 % (240 of 240;' score.out || fail "wanted the given equations to solve everything: $(cat score.out)"
"$megin" score prepared-2/test.tgt --equations problems.tsv --quiet >score.out 2>score.err && fail "240 equations for 1,200 problems"
grep -qF 'found 240 lines in prepared-2/test.tgt and 1200 problems in problems.tsv' score.err || fail "$(cat score.err)"

must_train run --set variables.FOLD=2
solved() { grep -o '"solved":[0-9]*' "$1" | head -n 1 | cut -d: -f2; }
for k in 2 4; do
  "$megin" translate run --experts "k=$k" --beam 1 --input prepared-2/test.src --output "k$k.hyp" --quiet || fail "translate with $k experts"
  "$megin" score "k$k.hyp" --equations problems.tsv --where "fold = 2" --json --quiet >"k$k.json" || fail "score with $k experts"
done
# Four kinds of equations: chance, or always the same, is a quarter.
(($(solved k4.json) >= 180)) || fail "wanted 180 problems of 240 solved with all experts, found $(cat k4.json)"
(($(solved k2.json) >= 120)) || fail "wanted 120 problems of 240 solved with half of the experts, found $(cat k2.json)"
"$megin" score k4.hyp --vs k2.hyp --equations problems.tsv --where "fold = 2" --quiet >versus.out || fail "megin score --vs"
grep -q '^only the first [0-9]*, only the second [0-9]* (p = ' versus.out || fail "$(cat versus.out)"
[[ $("$megin" score k4.hyp --equations problems.tsv --where "fold = 2" --per-line --quiet | grep -c '^1') == "$(solved k4.json)" ]] ||
  fail "wanted as many lines of solved problems as are counted"
shown "$(solved k4.json) of 240 problems solved with four experts a token, $(solved k2.json) with two"
