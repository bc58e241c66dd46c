#!/usr/bin/env bash
# A masked language model from its text to its measure: prepared with a mask symbol, trained with a growing number of experts,
# killed and resumed to the same bytes, and measured by the serving side as training measured it.
# Usage: masked_model_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

toy_text plain 120 20
cp toy.yaml causal.yaml
"$megin" prepare toy.yaml --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
sed -i -e 's/output: plain/output: prepared/' -e 's/  decoder_layers: 2/  kind: masked_lm\n  encoder_layers: 2/' \
  -e 's/method: stable_moe/method: smoe_dropout/' -e 's/{count: 4, body: insert, sublayers: 2}/{count: 4, every: 1, feed_forward: 8}/' \
  toy.yaml
cat >>toy.yaml <<'TXT'
  checkpoint_every: 7
  keep_checkpoints: 3
TXT
refused 2 "vocabulary has a mask symbol" old --set data.output=plain
"$megin" prepare toy.yaml --quiet >prepare.out 2>&1 || fail "megin prepare: $(cat prepare.out)"
shown "data without a mask symbol is refused"

must_train straight
grep -q '"bits_per_token"' straight/log.jsonl || fail "wanted bits a masked token in the log"
"$megin" train toy.yaml --set train.run=killed --quiet >killed.out 2>&1 &
pid=$!
while ! [[ -e killed/checkpoints/update-42 || -e killed/checkpoints/update-49 ]] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
kill -KILL "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
must_train killed --resume
same_run straight killed
must_train threads --set train.threads=2
cmp {straight,threads}/model/model.safetensors || fail "two threads gave another model"
shown "a masked language model, killed and resumed, and with two threads: same bytes"

# The best validation, in the log, against the command that masks the same text and serves the model.
best=$(grep '"event":"validation"' straight/log.jsonl | grep -oE '"loss":[0-9.]+' | cut -d: -f2 | sort -g | head -n 1)
loss_of() { grep -oE '"runs":\[\{"seed":[0-9]+,"loss":[0-9.]+' "$1" | grep -oE '[0-9.]+$'; }
"$megin" evaluate straight --text valid.txt --json --quiet >evaluated.json
evaluated=$(loss_of evaluated.json)
awk -v a="$best" -v b="$evaluated" 'BEGIN { exit !(a - b < 1e-4 && b - a < 1e-4) }' ||
  fail "wanted evaluate to give the best validation's loss $best, found $evaluated"
"$megin" evaluate straight --text valid.txt --threads 2 --batch-tokens 32 --json --quiet >again.json
[[ $(loss_of again.json) == "$evaluated" ]] || fail "evaluate depends on its batches: $(cat again.json)"
"$megin" evaluate straight --text valid.txt --experts k=1 --json --quiet >slim.json
[[ $(loss_of slim.json) != "$evaluated" ]] || fail "wanted another loss with one expert a token"
"$megin" evaluate straight --text valid.txt --whole-words --mask-rate 0.3 | grep -q 'bits a masked token' ||
  fail "evaluate --whole-words: wanted bits a masked token"
shown "megin evaluate --text gives the loss that training measured, $evaluated, at any batch size"

"$megin" analyze slimming straight --text valid.txt --json --quiet >slimming.json
[[ $(grep -o '"k":' slimming.json | wc -l) == 3 ]] || fail "analyze slimming: wanted k = 1, 2 and 4: $(cat slimming.json)"
"$megin" calibrate straight calibrated --text valid.txt --quiet >calibrated.out 2>&1 || fail "calibrate: $(cat calibrated.out)"
"$megin" info straight | grep -q 'language     en' || fail "info: $("$megin" info straight)"
"$megin" report straight --output report.html --quiet >report.out 2>&1 || fail "report: $(cat report.out)"
grep -q 'bits a masked token' report.html || fail "wanted bits a masked token on the page"
shown "slimming, calibrate, info and report take it"

# wrong_call TEXT ARGUMENTS...: megin refuses the call with exit code 2 and TEXT.
wrong_call() {
  local text=$1 code=0
  shift
  "$megin" "$@" <valid.txt >wrong.out 2>wrong.err || code=$?
  [[ $code == 2 ]] || fail "megin $*: wanted exit code 2, found $code: $(cat wrong.err)"
  grep -qF -- "$text" wrong.err || fail "megin $*: wanted '$text': $(cat wrong.err)"
}
wrong_call 'found one that restores masked tokens' translate straight
wrong_call 'found one that restores masked tokens' generate straight
wrong_call '--text FILE' evaluate straight --src valid.txt --ref valid.txt
wrong_call '--mask-rate' evaluate straight --text valid.txt --mask-rate 1
refused 2 "train.masking.rate was 0.15, now 0.2" straight --resume --set train.masking.rate=0.2
shown "what a masked language model cannot do is refused"

# Two passes, a router that looks ahead, whole words, pre-norm with rotary positions.
more() {
  local run=$1
  shift
  must_train "$run" --set train.max_updates=20 --set train.validation.every=10 "$@"
  "$megin" evaluate "$run" --text valid.txt --json --quiet >"$run.json" || fail "evaluate $run"
}
more thor --set train.method=thor --set model.experts.count=2
more choice --set train.method=expert_choice --set train.masking.whole_words=true
more smart --set train.method=smart
more prenorm --set train.method=dense --set model.norm_position=pre --set model.positions=rotary
more inserted --set train.method=hash --set model.experts.body=insert --set model.share_embeddings=none
shown "thor, expert choice, smart, pre-norm with rotary positions and inserted experts train and are served"
