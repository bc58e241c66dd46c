#!/usr/bin/env bash
# What a training does when something is broken: damaged checkpoints, a full disk, a loss that is not finite, the wrong
# folder or configuration. Each time it says so in one sentence, and the last good state stays and can be resumed.
# Usage: damage_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

# damaged NAME: the run `half` with its newest checkpoint ready to be damaged, as run NAME; $checkpoint is that.
damaged() {
  cp -a half "$1"
  checkpoint=$1/checkpoints/update-$(newest half)
}

# goes_on NAME: resuming names the damaged checkpoint, takes the one before and ends as if nothing had happened.
goes_on() {
  local before
  before=$(checkpoints half | tail -n 2 | head -n 1)
  must_train "$1" --resume
  [[ $(grep -c '^warning: damaged checkpoint' "$1.err") == 1 ]] || fail "$1: wanted one warning: $(cat "$1.err")"
  grep '^warning: damaged checkpoint' "$1.err" | grep -qF "update-$(newest half)/" || fail "$1: $(cat "$1.err")"
  grep -qF "resuming $1 after update $before" "$1.err" || fail "$1: wanted update $before: $(cat "$1.err")"
  same_run straight "$1"
}

damaged_checkpoints() {
  must_train straight
  must_train half --set train.max_updates=120

  damaged flipped
  size=$(stat -c %s "$checkpoint/state.safetensors")
  printf '\125' | dd of="$checkpoint/state.safetensors" bs=1 seek=$((size / 2)) conv=notrunc status=none
  cmp -s {half,flipped}/checkpoints/update-"$(newest half)"/state.safetensors && fail "the byte was the same already"
  goes_on flipped
  [[ -d $checkpoint.damaged ]] || fail "flipped: wanted the damaged checkpoint to be kept as $checkpoint.damaged"

  damaged truncated
  truncate -s -1 "$checkpoint/state.safetensors"
  goes_on truncated

  damaged lost_manifest
  rm "$checkpoint/manifest.json"
  goes_on lost_manifest

  damaged broken_state
  printf '{' >"$checkpoint/state.json"
  goes_on broken_state
  shown "a flipped byte, a cut file, a lost manifest, a broken state.json: named, set aside; the end is the same bytes"

  cp -a half all_damaged
  for update in $(checkpoints half); do : >"all_damaged/checkpoints/update-$update/manifest.json"; done
  must_train all_damaged --resume
  [[ $(grep -c '^warning: damaged checkpoint' all_damaged.err) == "$(checkpoints half | wc -l)" ]] ||
    fail "all_damaged: wanted each to be named: $(cat all_damaged.err)"
  grep -qF "starting from the beginning" all_damaged.err || fail "all_damaged: $(cat all_damaged.err)"
  same_run straight all_damaged
  shown "all checkpoints damaged: each is named, it starts from the beginning and says so"

  # As a kill leaves it between saving the best state and publishing it.
  must_train best --set train.max_updates=20
  must_train other_seed --set train.max_updates=20 --set train.seed=2
  cp -a best unpublished
  rm -r unpublished/best unpublished/model
  cp -a other_seed/model unpublished/model
  mkdir unpublished/model.tmp-4711
  must_train unpublished --resume --set train.max_updates=20
  same_run best unpublished
  shown "a best state that was saved but not published is published on resuming"

  cp -a half other_log
  printf '{"event":"update","update":1' >>other_log/log.jsonl
  must_train other_log --resume
  same_run straight other_log
  shown "a log cut in the middle of its last line loses that line"
}

# A small tmpfs where one may be mounted, else a limit on the size of files, which fails like a full disk.
full_disk() {
  mkdir small
  if [[ $(id -u) == 0 ]] && mount -t tmpfs -o size=600k tmpfs small 2>/dev/null; then
    trap 'umount "$folder/small"; rm -rf "$folder"' EXIT
    refused 1 "No space left on device" small/run
    resumed=(mount -o "remount,size=50m" small)
  else
    mkdir small/run
    # What was trained before has a log and checkpoints that fit; the next checkpoint does not.
    must_train small/run --set train.max_updates=20
    (
      trap '' XFSZ
      ulimit -f 60
      refused 1 "cannot write" small/run --resume
    )
    resumed=(true)
  fi
  [[ -n $(checkpoints small/run) ]] || fail "full disk: wanted checkpoints to stay"
  [[ -z $(find small/run/checkpoints -name '*tmp*') ]] || fail "full disk: $(find small/run/checkpoints -name '*tmp*')"
  "${resumed[@]}"
  must_train small/run --resume
  ! grep -q '^warning' small/run.err || fail "full disk: wanted good checkpoints: $(cat small/run.err)"
  same_run straight small/run
  shown "a full disk: exit code 1 and why; the checkpoints before stay, and with space the end is the same bytes"
}

not_finite() {
  refused 1 "is not finite in update" diverged --set train.optimizer.learning_rate=1e30 --set train.optimizer.warmup=10 \
    --set train.optimizer.warmup_start=1e-3 --set train.checkpoint_every=1
  [[ -n $(checkpoints diverged) ]] || fail "diverged: wanted checkpoints to stay"
  shown "a loss that is not finite: exit code 1, the update, what to change; the checkpoints before stay"
}

wrong_calls() {
  local before
  before=$(find half -type f -exec md5sum {} + | sort)
  refused 1 "half: already holds a training run; add --resume" half
  refused 2 "train.seed was 1, now 2" half --resume --set train.seed=2
  refused 2 'train.method was "thor", now "dense"' half --resume --set train.method=dense
  refused 2 "model.width was 16, now 32" half --resume --set model.width=32
  refused 1 "nowhere" half --resume --set train.data=nowhere
  "$megin" prepare toy.yaml --set data.output=other_data --set data.seed=2 --quiet >prepare.out 2>&1
  refused 1 "was trained on other data" half --resume --set train.data=other_data
  refused 1 "nowhere" new --set train.data=nowhere
  refused 2 "prepared/valid." new --set model.max_length=8 --set data.max_tokens=8
  grep -qE 'valid\.(src|tgt):[0-9]+: wanted at most 8 tokens .* --set model\.max_length=[0-9]+' new.err || fail "$(cat new.err)"
  [[ ! -e new ]] || fail "a training without data or room for it made its run directory"
  [[ $(find half -type f -exec md5sum {} + | sort) == "$before" ]] || fail "a refused call changed the run"
  shown "an existing run without --resume, another seed, method, width or data, no data, longer pairs than the model reads: refused, the run untouched"
}

toy_data
damaged_checkpoints
full_disk
not_finite
wrong_calls
