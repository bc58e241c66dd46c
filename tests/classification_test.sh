#!/usr/bin/env bash
# A classifier from sentences with labels to what it says of others: prepared with a language model's subwords, trained from
# that model and from scratch at two numbers of experts, killed and resumed to the same bytes, measured and asked.
# Usage: classification_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

toy_text prepared 40 20
sed -i 's/experts: .*/experts: {count: 4, every: 1, feed_forward: 16}/; s/method: .*/method: smoe_dropout/' toy.yaml
"$megin" prepare toy.yaml --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
must_train lm
cp toy.yaml lm.yaml

# A sentence is of the class "colour" if it names one.
awk 'BEGIN { OFS = "\t" } { print (/red|blue|green/ ? "colour" : "plain"), $0 }' toy.en >labelled
head -n 1600 labelled >train.tsv
sed -n '1601,1800p' labelled >valid.tsv
sed -n '1801,$p' labelled >test.tsv
cat >data.part <<'TXT'
  corpora: [{paths: [train.tsv], source_column: 2, target_column: 1}]
  split:
    valid: [{paths: [valid.tsv], source_column: 2, target_column: 1}]
    test: [{paths: [test.tsv], source_column: 2, target_column: 1}]
  subword: {model: lm/model/subword.model}
TXT
sed -e '/^  corpora:/,/^  subword:/d' -e 's/language_model/classification/; s/prepared/classes/; s/max_updates: .*/max_updates: 150/' \
  -e 's/learning_rate: [^,]*/learning_rate: 1e-2/; s/clip_norm: 0.1/clip_norm: 1/' \
  -e '/^model:/e cat data.part' lm.yaml >toy.yaml
cat >>toy.yaml <<'TXT'
  checkpoint_every: 7
  keep_checkpoints: 3
TXT
"$megin" prepare toy.yaml --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
grep -q 'class colour' classes/report.md || fail "wanted the classes in report.md: $(cat classes/report.md)"
cmp lm/model/subword.model classes/subword.model || fail "wanted the language model's subwords to be taken over"
cut -f 2 valid.tsv | paste - <(cut -f 1 valid.tsv) | cmp - classes/valid.tsv || fail "wanted the validation set as it was"

must_train straight --from lm
grep -q 'drawn, as it has none: classifier.hidden.weight' straight.out straight.err ||
  fail "wanted a new head to be told: $(cat straight.out straight.err)"
grep -q '"accuracy"' straight/log.jsonl || fail "wanted the accuracy in the log"
! grep -q perplexity straight/log.jsonl || fail "a classifier has no perplexity"
"$megin" train toy.yaml --from lm --set train.run=killed --quiet >killed.out 2>&1 &
pid=$!
while ! [[ -e killed/checkpoints/update-42 || -e killed/checkpoints/update-49 ]] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
kill -KILL "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
[[ $(tail -n 1 killed/log.jsonl) != *'"reason":"max_updates"'* ]] || fail "wanted to kill the training before its end"
must_train killed --resume
same_run straight killed
shown "a classifier that began with a language model, killed and resumed: same bytes, log, routes and best"

columns=(--sentence-column 2 --label-column 1)
number() { grep -oE "\"$2\":[0-9.e-]+" "$1" | head -n 1 | cut -d: -f2; }
# The best validation, in the log, against the command that reads the file and serves the model (which is the best one).
best=$(grep '"event":"validation"' straight/log.jsonl | grep -oE '"accuracy":[0-9.]+' | cut -d: -f2 | sort -g | tail -n 1)
"$megin" evaluate straight --labels valid.tsv "${columns[@]}" --json --quiet >evaluated.json
[[ $(number evaluated.json lines) == 200 ]] || fail "wanted 200 lines: $(cat evaluated.json)"
awk -v a="$best" -v b="$(number evaluated.json accuracy)" 'BEGIN { exit !(a - b < 1e-9 && b - a < 1e-9) }' ||
  fail "wanted evaluate to give the best validation's accuracy $best, found $(cat evaluated.json)"
grep '"event":"validation"' straight/log.jsonl | grep -oE '"loss":[0-9.]+' | cut -d: -f2 |
  awk -v found="$(number evaluated.json loss)" '$1 - found < 1e-4 && found - $1 < 1e-4 { same = 1 } END { exit !same }' ||
  fail "wanted the loss of a validation, found $(cat evaluated.json)"
awk -v best="$best" 'BEGIN { exit !(best >= 0.9) }' || fail "wanted the toy to be learnt, found an accuracy of $best"
"$megin" evaluate straight --labels valid.tsv "${columns[@]}" --threads 2 --batch-tokens 30 --json --quiet >again.json
[[ $(number evaluated.json loss) == "$(number again.json loss)" ]] || fail "evaluate depends on its batches: $(cat again.json)"
shown "megin evaluate --labels gives the accuracy that training measured, $best, at any batch size"

cut -f 2 test.tsv >sentences
"$megin" classify straight --quiet <sentences >labels
[[ $(wc -l <labels) == 200 ]] || fail "wanted a label for each line, found $(wc -l <labels)"
"$megin" classify straight --input sentences --threads 2 --batch-tokens 16 --quiet | cmp - labels || fail "classify depends on its batches"
right=$(paste labels <(cut -f 1 test.tsv) | awk '$1 == $2 { n++ } END { print n + 0 }')
"$megin" evaluate straight --labels classes/test.tsv --json --quiet >evaluated.json
[[ $(number evaluated.json right) == "$right" ]] || fail "wanted $right right labels, found $(cat evaluated.json)"
tail -n 1 sentences | "$megin" classify straight --quiet | cmp - <(tail -n 1 labels) || fail "a sentence's label depends on its neighbours"
[[ $(printf 'red\n\n' | "$megin" classify straight --scores --experts k=2 --quiet | awk -F'\t' 'NF == 3 && $2 + $3 > 0.9999 && $2 + $3 < 1.0001' |
  wc -l) == 2 ]] || fail "wanted two lines of a label and two probabilities"
shown "megin classify: $right of 200 test sentences right, at any batch size"

# From scratch with two experts a token from the beginning to the end; THOR; from another classifier, whose head is of these classes.
must_train two --set train.routing.active_schedule=constant --set model.experts.active=2
"$megin" evaluate two --labels valid.tsv "${columns[@]}" --json --quiet >two.json
"$megin" evaluate two --labels valid.tsv "${columns[@]}" --experts k=2 --json --quiet >of_two.json
[[ $(number two.json loss) == "$(number of_two.json loss)" ]] || fail "wanted two experts a token to be what the model uses: $(cat two.json)"
must_train thor --set train.method=thor --set train.max_updates=20
grep -q '"consistency"' thor/log.jsonl || fail "wanted a consistency in the log of thor"
must_train healed --from straight --set train.max_updates=1 --set train.optimizer.learning_rate=1e-12 \
  --set train.optimizer.warmup=0
awk -v a="$best" -v b="$(number <(grep '"event":"validation"' healed/log.jsonl) accuracy)" 'BEGIN { exit !(a - b < 1e-9 && b - a < 1e-9) }' ||
  fail "wanted a classifier to begin where another one was: $(cat healed/log.jsonl)"
shown "a number of experts that stays, two passes, and a classifier that begins with another"

"$megin" average averaged straight/model two/model --quiet >average.out 2>&1 && fail "models of other experts have no mean"
"$megin" average averaged straight/model straight/model --quiet && "$megin" info averaged --quiet >info.txt
grep -q '^classes *colour, plain$' info.txt || fail "megin info: wanted the classes: $(cat info.txt)"
"$megin" report straight two --quiet --output report.html || fail "megin report"
grep -q 'accuracy, %' report.html || fail "megin report: wanted an accuracy"
shown "a classifier goes where other models do"

# A dense student of one expert's width learns from the experts, 40 updates or 20 and then the rest.
student=(--set train.method=dense --set model.feed_forward=16 --set train.objective.teacher.model=straight
  --set train.objective.teacher.temperature=2 --set train.objective.weight_first=0 --set train.optimizer.schedule=constant)
must_train student "${student[@]}" --set train.max_updates=40
[[ $(grep '"event":"update"' student/log.jsonl | grep -c '"distillation"') == $(grep -c '"event":"update"' student/log.jsonl) ]] ||
  fail "wanted the divergence in each line: $(cat student/log.jsonl)"
grep -oE '"distillation":[0-9.e-]+' student/log.jsonl | cut -d: -f2 | awk 'NR == 1 { first = $1 } { last = $1 } END { exit !(last < first) }' ||
  fail "wanted the student to come closer to its teacher: $(cat student/log.jsonl)"
must_train student_resumed "${student[@]}" --set train.max_updates=20
must_train student_resumed --resume "${student[@]}" --set train.max_updates=40
same_run student student_resumed
refused 1 "wanted a classifier as a teacher" wrong "${student[@]}" --set train.objective.teacher.model=lm
sed 's/^colour/hue/' train.tsv >hue.tsv
sed 's/train.tsv/hue.tsv/; s/valid: .*/valid_pairs: 20/; s/test: .*/test_pairs: 20/; s/output: classes/output: hues/' toy.yaml >hues.yaml
"$megin" prepare hues.yaml --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
refused 1 "wanted a teacher of the classes hue, plain, as hues has them, found colour, plain" wrong "${student[@]}" --set train.data=hues
shown "a dense classifier of one expert's width learns the classes of the one with all experts, and resumes to the same bytes"

refused 2 "train.objective.perturbation.kind: wanted none for data.task classification" wrong --set train.method=r3f
refused 2 "model.classes is 3, but the data has 2 classes (colour, plain)" wrong --set model.classes=3
refused 2 "was prepared for the task language_model, and data.task is classification" wrong --set train.data=prepared
refused 1 "its model differs from the recipe's in model.heads; they must be the same" wrong --from lm --set model.heads=4
cp toy.yaml classes.yaml
cp lm.yaml toy.yaml
refused 2 "was prepared for the task classification, and data.task is language_model" wrong --set train.data=classes
[[ ! -e wrong ]] || fail "a training that could not begin left a run directory"
printf 'neutral\tone two\n' >wrong.tsv
"$megin" evaluate straight --labels wrong.tsv "${columns[@]}" --quiet >wrong.out 2>wrong.err && fail "no model knows that class"
grep -qF 'wrong.tsv:1: wanted a label among colour, plain, found "neutral"' wrong.err || fail "evaluate: $(cat wrong.err)"
"$megin" generate straight --prompt one >wrong.out 2>wrong.err && fail "a classifier writes nothing"
grep -qF 'use megin classify' wrong.err || fail "generate: $(cat wrong.err)"
shown "what cannot be is refused, with what to do instead"
