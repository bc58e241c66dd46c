#!/usr/bin/env bash
# A dense model becomes one of experts, is trained on, and becomes dense again: megin convert, train --from and export.
# Usage: conversion_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

toy_data
by_loss=(--set train.validation.bleu=false --set train.validation.best_by=loss)
must_train dense --set train.method=dense --set train.max_updates=60 "${by_loss[@]}"
"$megin" convert dense elastic --to-experts 4 --split cluster --quiet >convert.out || fail "megin convert"

head -n 30 toy.en >source
head -n 30 toy.de >reference
loss() { "$megin" evaluate "$@" --src source --ref reference --loss-only --json --quiet | grep -oE '"loss":[0-9.]+' | head -n 1 | cut -d: -f2; }
close_to() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a - b < 1e-5 && b - a < 1e-5) }'; }
dense=$(loss dense)
close_to "$dense" "$(loss elastic)" || fail "wanted the loss $dense of the dense model with all experts, found $(loss elastic)"
close_to "$dense" "$(loss elastic --experts k=1)" && fail "wanted another loss with one expert"
"$megin" export elastic back --all --quiet >export.out || fail "megin export"
close_to "$dense" "$(loss back)" || fail "wanted the loss $dense of the model put together again, found $(loss back)"
shown "a dense model, split into experts and put together again, keeps its loss of $dense"

"$megin" analyze slimming elastic --src source --ref reference --budget 10s --json --quiet >slim.json || fail "megin analyze slimming"
[[ $(grep -o '"k":[0-9]*' slim.json | cut -d: -f2 | paste -sd' ') == "1 2 4 4" ]] ||
  fail "wanted 1, 2 and 4 experts, and 4 within ten seconds; found $(cat slim.json)"
of_four=$(grep -o '"k":4,"loss":[0-9.]*' slim.json | cut -d: -f3)
close_to "$dense" "$of_four" || fail "wanted the loss $dense with four experts, found $of_four"
"$megin" analyze slimming elastic --src source --ref reference --budget 1e-9ms --quiet >slim.out 2>slim.err && fail "no machine is that fast"
grep -qF 'no number of experts keeps a token within 1e-9ms' slim.err || fail "slimming: $(cat slim.err)"
"$megin" analyze slimming dense --src source --ref reference --quiet >slim.out 2>slim.err && fail "a dense model cannot be slimmed"
"$megin" analyze slimming elastic --src source --ref reference --budget 20 >slim.out 2>slim.err && fail "20 of what"
grep -qF "wanted a time for a token, as 20ms or 0.5s, or a share of the FLOPs, as 60%; found '20'" slim.err || fail "slimming: $(cat slim.err)"
shown "megin analyze slimming: the loss with each number of experts, and what a budget allows"

"$megin" analyze slimming elastic --src source --ref reference --per-layer --budget 80% --json --quiet >layers.json || fail "slimming by layer"
numbers=$(grep -o '"experts":"k=[0-9,]*"}$' layers.json | cut -d'"' -f4)
[[ $numbers =~ ^k=[124],[124]$ && $numbers != k=4,4 ]] || fail "wanted numbers for two layers, fewer than all; found $(cat layers.json)"
of_numbers=$(grep -oE '"loss":[0-9.]+' layers.json | tail -n 1 | cut -d: -f2)
close_to "$of_numbers" "$(loss elastic --experts "$numbers")" || fail "wanted the loss $of_numbers with $numbers, found $(loss elastic --experts "$numbers")"
shown "megin analyze slimming --per-layer: within 80 % of the FLOPs with $numbers"

"$megin" calibrate elastic scaled --src source --ref reference --quiet >calibrate.out || fail "megin calibrate"
close_to "$dense" "$(loss scaled)" || fail "wanted scales to change nothing with all experts"
close_to "$(loss elastic --experts k=2)" "$(loss scaled --experts k=2 --unscaled)" || fail "wanted --unscaled to leave scales out"
close_to "$(loss elastic --experts k=2)" "$(loss scaled --experts k=2)" && fail "wanted scales to change two experts' outputs"
shown "megin calibrate: two experts $(loss elastic --experts k=2) without scales, $(loss scaled --experts k=2) with them"

elastic=(--set train.method=smoe_dropout --set model.experts.count=4 --set model.experts.feed_forward=8
  --set model.experts.every=1 --set model.experts.gate=mean "${by_loss[@]}")
best() { grep '"event":"validation"' "$1/log.jsonl" | grep -oE '"loss":[0-9.]+' | cut -d: -f2 | sort -g | head -n 1; }
# With a rate of nothing the first validation is of what it began with.
must_train begun --from elastic "${elastic[@]}" --set train.max_updates=1 --set train.optimizer.learning_rate=1e-12
must_train from_scaled --from scaled "${elastic[@]}" --set train.max_updates=1 --set train.optimizer.learning_rate=1e-12
close_to "$(best dense)" "$(best from_scaled)" || fail "wanted a training to begin with a calibrated model, found $(best from_scaled)"
close_to "$(best dense)" "$(best begun)" || fail "wanted to begin at the dense model's validation loss $(best dense), found $(best begun)"
# A run that has to begin again, as its checkpoints are gone, begins with the same model.
rm -r begun/checkpoints begun/best
must_train begun --resume "${elastic[@]}" --set train.max_updates=1 --set train.optimizer.learning_rate=1e-12
grep -q 'begins with the weights of' begun.out begun.err || fail "wanted the run to begin with its model again: $(cat begun.out begun.err)"
must_train healed --from elastic "${elastic[@]}" --set train.max_updates=60
before=$(loss elastic --experts k=2) after=$(loss healed --experts k=2)
awk -v before="$before" -v after="$after" 'BEGIN { exit !(after < before) }' ||
  fail "wanted a training with growing k to help with two experts: $before before, $after after"
shown "megin train --from begins where the model was; with two of four experts it heals $before to $after"

refused 1 "its model differs from the recipe's in model.experts.count, model.experts.every, model.experts.feed_forward" wrong --from elastic --set train.method=dense
refused 1 "its model differs from the recipe's in model.heads; they must be the same" wrong --from dense --set train.method=dense --set model.heads=4
refused 1 'wanted a model directory or a run directory with a model, found nothing there' wrong --from nothing
[[ ! -e wrong ]] || fail "a training that could not begin left a run directory"
"$megin" export dense out --mean >refused.out 2>&1 && fail "a dense model has no experts to export"
[[ ! -e out ]] || fail "an export that was refused left a model"
shown "what cannot be is refused, and nothing is left behind"

smoe=(--set train.method=smoe_dropout --set model.experts.count=4 --set model.experts.feed_forward=8 --set model.experts.every=1
  "${by_loss[@]}")
must_train smoe "${smoe[@]}" --set train.max_updates=60
"$megin" analyze votes smoe --src source --ref reference --active 1 --json --quiet >votes.json || fail "megin analyze votes"
[[ $(grep -o '"votes"' votes.json | wc -l) == 2 ]] || fail "wanted votes of two layers, found $(cat votes.json)"
"$megin" convert smoe two --keep-experts 2 --votes votes.json --quiet >keep.out || fail "megin convert --keep-experts 2"
must_train two_tuned --from two "${smoe[@]}" --set model.experts.count=2 --set train.max_updates=40
awk -v before="$(loss two)" -v after="$(loss two_tuned)" 'BEGIN { exit !(after < before) }' ||
  fail "wanted training to help the model of the two most voted experts: $(loss two) before, $(loss two_tuned) after"
shown "two of four experts by votes are a model that trains: $(loss two) before, $(loss two_tuned) after"

"$megin" convert smoe one --keep-experts 1 --votes votes.json --quiet >keep.out || fail "megin convert --keep-experts 1"
# As recipes have it whose method alone differs: where experts would be, and how values would begin, say nothing of these weights.
student=(--set train.method=dense --set model.feed_forward=8 --set model.experts.every=1 --set model.experts.feed_forward=8
  --set model.initialisation=normal "${by_loss[@]}")
must_train at_first --from one "${student[@]}" --set train.max_updates=1 --set train.optimizer.learning_rate=1e-12
close_to "$(loss one)" "$(loss at_first)" || fail "wanted to begin with the kept expert's loss $(loss one), found $(loss at_first)"
must_train all --from back --set train.method=dense --set model.experts.every=1 --set model.experts.feed_forward=8 "${by_loss[@]}" \
  --set train.max_updates=1 --set train.optimizer.learning_rate=1e-12
close_to "$dense" "$(loss all)" || fail "wanted to begin with the loss $dense of megin export --all, found $(loss all)"
distil=(--set train.objective.teacher.model=smoe --set train.objective.teacher.temperature=2)
must_train student --from one "${student[@]}" "${distil[@]}" --set train.max_updates=40
grep -q '"distillation":' student/log.jsonl || fail "wanted the log to tell the distillation: $(tail -n 3 student/log.jsonl)"
must_train resumed --from one "${student[@]}" "${distil[@]}" --set train.max_updates=20
must_train resumed --resume "${student[@]}" "${distil[@]}" --set train.max_updates=40
same_run student resumed
refused 1 "has other weights" resumed --resume "${student[@]}" "${distil[@]}" --set train.objective.teacher.model=two_tuned \
  --set train.max_updates=60
refused 2 "train.objective.passes: wanted 1 with train.objective.teacher.model" wrong --set train.method=r_drop "${distil[@]}"
shown "a dense student of one expert's width learns from the model with all of them, and resumes to the same bytes"

"$megin" export student theirs --format huggingface --quiet >export.out || fail "megin export --format huggingface"
"$megin" import theirs again --quiet >import.out || fail "megin import"
[[ $(loss student) == "$(loss again)" ]] || fail "wanted the loss $(loss student) after export and import, found $(loss again)"
shown "a model of megin's own becomes a checkpoint of transformers and comes back with its loss of $(loss student)"
