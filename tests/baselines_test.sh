#!/usr/bin/env bash
# What SMoE-Dropout is compared with trains, resumes exactly and is used; numbers of experts drawn by layer, too.
# Usage: baselines_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

toy_data
head -n 30 toy.en >source
head -n 30 toy.de >reference
loss() { "$megin" evaluate "$@" --src source --ref reference --loss-only --json --quiet | grep -oE '"loss":[0-9.]+' | head -n 1 | cut -d: -f2; }
four=(--set model.experts.count=4 --set model.experts.every=1)

# trains_and_resumes NAME ARGUMENTS...: 40 updates in one go and in two are the same run.
trains_and_resumes() {
  local name=$1
  shift
  must_train "$name" "$@" --set train.max_updates=40
  must_train "$name.twice" "$@" --set train.max_updates=20
  must_train "$name.twice" --resume "$@" --set train.max_updates=40
  cmp "$name/model/model.safetensors" "$name.twice/model/model.safetensors" || fail "$name: resumed, it is another model"
  json_lines "$name/log.jsonl"
  awk -v loss="$(loss "$name")" 'BEGIN { exit !(loss > 0 && loss < 4.4) }' || fail "$name: wanted a loss below that of chance, found $(loss "$name")"
  shown "$name: a loss of $(loss "$name")"
}

trains_and_resumes groups --set train.method=dense_group_dropout --set model.group_dropout.groups=8
trains_and_resumes concrete --set train.method=dense_concrete_dropout --set train.objective.concrete_entropy=0.1
grep '"event":"update"' concrete/log.jsonl | grep -q '"dropout_rate_decoder_0":0\.[0-9]*,"dropout_rate_encoder_0":0\.' ||
  fail "wanted the rates that layers learned in the log"
[[ $(grep -o '"dropout_rate_encoder_0":[0-9.]*' concrete/log.jsonl | sort -u | wc -l) -gt 2 ]] || fail "wanted rates that move"
trains_and_resumes position "${four[@]}" --set train.method=hash_position
trains_and_resumes random "${four[@]}" --set train.method=random_experts
[[ $(loss random --experts token --seed 1) != "$(loss random --experts token --seed 2)" ]] || fail "wanted draws to depend on the seed"
trains_and_resumes by_layer "${four[@]}" --set train.method=smoe_dropout --set train.routing.active_schedule=random_by_layer \
  --set train.routing.first_active=1 --set train.routing.anchor=0.2
# Of two expert layers; an anchored update has one expert in both.
grep '"event":"update"' by_layer/log.jsonl | tr -d '{}"' | tr ',' '\n' | awk -F: '
  $1 ~ /^active_experts/ { of[$1] = $2 }
  $1 == "update" { ++lines; if ((of["active_experts_0"] + of["active_experts_1"]) / 2 != of["active_experts"]) exit 1; sum += of["active_experts"] }
  END { exit !(lines > 9 && sum / lines > 1.3 && sum / lines < 3) }' || fail "wanted the numbers of experts of both layers, and their mean"
diff <(training_lines by_layer) <(training_lines by_layer.twice) || fail "by_layer: resumed, its log is another"

# 1 + round(3 t / 60) experts after t updates, halves to even: of the first ten 1, of the next 1 and nine times 2, and so on.
growing=("${four[@]}" --set train.method=smoe_dropout --set train.routing.first_active=1 --set train.max_updates=60 --set train.log_every=10)
must_train growing "${growing[@]}"
[[ $(grep -oE '"active_experts":[0-9.]+' growing/log.jsonl | cut -d: -f2 | tr '\n' ' ') == "1.0 1.9 2.0 3.0 3.0 3.9 " ]] ||
  fail "growing: wanted 1, 1.9, 2, 3, 3 and 3.9 experts, found $(grep -oE '"active_experts":[0-9.]+' growing/log.jsonl | tr '\n' ' ')"
[[ $(LC_ALL=C grep -aoE "train/active_experts" growing/events/* | wc -l) == 6 ]] || fail "growing: wanted the curve of active_experts"
! grep -q '"event":"end".*active' growing/log.jsonl || fail "growing: it went to its end: $(tail -n 1 growing/log.jsonl)"
! grep -q 'active_experts' random/log.jsonl || fail "random: its number of experts stays"
"$megin" report growing random --quiet --output report.html
grep -q 'Experts of a token in training' report.html || fail "megin report: wanted its curve"
"$megin" plot growing --event update --key active_experts --output active.svg --quiet || fail "megin plot --key active_experts"
must_train ended "${growing[@]}" --set train.max_epochs=1 --set train.batch_tokens=1024
ended=$(grep -oE '[0-9]+ batches an epoch' ended.out ended.err | grep -oE '[0-9]+ b' | cut -d' ' -f1)
((ended > 11 && ended < 30)) || fail "ended: wanted 11 to 30 batches, to come to two experts, found $ended"
grep -qhF "max_epochs ended the training after $ended of 60 updates (train.max_updates): a token had come to 2 of 4 experts" ended.out ended.err ||
  fail "ended: wanted to be told the number of experts: $(cat ended.out ended.err)"
grep -q '"active_experts":2,"event":"end","max_updates":60,"reason":"max_epochs"' ended/log.jsonl || fail "ended: $(tail -n 1 ended/log.jsonl)"
sed '/max_updates/d' toy.yaml >whole.yaml
cp toy.yaml kept.yaml
mv whole.yaml toy.yaml
refused 2 "train.max_updates: wanted the number of updates over which train.routing.active_schedule (linear) goes from 2 to 4" \
  wrong "${four[@]}" --set train.method=smoe_dropout
[[ ! -e wrong ]] || fail "a training that could not begin left a run directory"
mv kept.yaml toy.yaml
shown "the log tells the number of experts as it grows, and a run that ends before says where it was"

[[ $(loss by_layer --experts k=4,1) != "$(loss by_layer --experts k=1,4)" ]] || fail "wanted numbers of experts by layer"
"$megin" translate by_layer --experts k=2,1 --input source --quiet >translated || fail "translate with numbers by layer"
[[ $(wc -l <translated) == 30 ]] || fail "wanted 30 translations"
"$megin" translate by_layer --experts k=2,1,1 --input source >refused.out 2>&1 && fail "three numbers for two layers"
grep -qF 'wanted 1 number of experts or 2 (one for each expert layer, encoder first), found 3' refused.out || fail "$(cat refused.out)"
