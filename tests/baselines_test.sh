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
[[ $(loss by_layer --experts k=4,1) != "$(loss by_layer --experts k=1,4)" ]] || fail "wanted numbers of experts by layer"
"$megin" translate by_layer --experts k=2,1 --input source --quiet >translated || fail "translate with numbers by layer"
[[ $(wc -l <translated) == 30 ]] || fail "wanted 30 translations"
"$megin" translate by_layer --experts k=2,1,1 --input source >refused.out 2>&1 && fail "three numbers for two layers"
grep -qF 'wanted 1 number of experts or 2 (one for each expert layer, encoder first), found 3' refused.out || fail "$(cat refused.out)"
