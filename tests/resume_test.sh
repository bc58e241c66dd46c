#!/usr/bin/env bash
# Resume is exact: a training that was stopped (SIGTERM), killed (SIGKILL, 20 times at random moments) or given more
# updates later ends with the bytes, the log and the best checkpoint of the training that nobody disturbed.
# Usage: resume_test.sh PATH_OF_MEGIN
set -euo pipefail
# shellcheck source=tests/toy_training.sh
source "$(dirname "$0")/toy_training.sh"

# Two trainings. "thor" counts experts that no pass drew as having a gradient of zero and stops at max_updates; "skip"
# leaves them alone, accumulates, keeps a moving average, goes by the loss and loses patience.
thor=()
skip=(--set train.threads=2 --set train.objective.unused_expert=skip --set train.average_decay=0.9 --set train.accumulate=2
  --set train.validation.best_by=loss --set train.validation.patience=2 --set train.validation.every=10
  --set train.optimizer.learning_rate=0.1 --set train.checkpoint_every=4)

# The update of the last line of a run's log, in $logged; 0 when there is none yet. It starts no process: often asked.
read_logged_update() {
  local lines=()
  logged=0
  if [[ -e $1/log.jsonl ]]; then mapfile -t lines <"$1/log.jsonl"; fi
  if ((${#lines[@]} > 0)) && [[ ${lines[-1]} =~ \"update\":([0-9]+) ]]; then logged=${BASH_REMATCH[1]}; fi
}

# Waits until the log of run $2 has update $3 or process $1 has ended, and then a moment.
wait_for_update() {
  read_logged_update "$2"
  while ((logged < $3)) && kill -0 "$1" 2>/dev/null; do
    sleep 0.01
    read_logged_update "$2"
  done
  draw 40
  sleep "$(printf '0.%03d' "$drawn")"
}

# start RUN ARGUMENTS...: trains in the background; the process is $pid.
start() {
  local run=$1
  shift
  "$megin" train toy.yaml --resume --set "train.run=$run" "$@" >"$run.out" 2>"$run.err" </dev/null &
  pid=$!
}

# killed RUN STRAIGHT KILLS UPDATES ARGUMENTS...: kills the training KILLS times, spread over UPDATES, then lets it end
# and compares it with STRAIGHT. Where it ended before the last kill it starts again in an empty folder.
killed() {
  local run=$1 straight=$2 kills=$3 updates=$4 dead=0 code
  shift 4
  while ((dead < kills)); do
    start "$run" "$@"
    if ((dead % 5 == 4)); then
      draw 1000  # at any time after its start, also while it restores
      sleep "$(printf '0.%03d' "$drawn")"
    else
      draw $((updates / kills))
      wait_for_update "$pid" "$run" $((updates * dead / kills + drawn))
    fi
    kill -KILL "$pid" 2>/dev/null || true
    code=0
    wait "$pid" 2>/dev/null || code=$?
    case $code in
      137) dead=$((dead + 1)) ;;
      0) same_run "$straight" "$run"; rm -r "$run" ;;
      *) fail "$run, after $dead kills: exit code $code: $(cat "$run.err")" ;;
    esac
  done
  must_train "$run" --resume "$@"
  same_run "$straight" "$run"
}

# terminated RUN STRAIGHT STOPS UPDATES ARGUMENTS...: asks it STOPS times to stop; each time it saves and says so.
terminated() {
  local run=$1 straight=$2 stops=$3 updates=$4 round at code
  shift 4
  for ((round = 0; round < stops; ++round)); do
    start "$run" --json "$@"
    draw $((updates / stops / 2))
    wait_for_update "$pid" "$run" $((updates * round / stops + drawn + 1))
    kill -TERM "$pid" 2>/dev/null || true
    code=0
    wait "$pid" 2>/dev/null || code=$?
    if [[ $code == 143 ]] && grep -q '"event":"end"' <(tail -n 1 "$run/log.jsonl"); then continue; fi  # it was leaving
    [[ $code == 0 ]] || fail "$run: exit code $code after SIGTERM: $(cat "$run.err")"
    grep -q '"stopped_by":"signal"' "$run.out" || continue  # it was done before
    at=$(sed -E 's/.*"updates":([0-9]+).*/\1/' "$run.out")
    [[ $(newest "$run") == "$at" ]] || fail "$run: stopped after update $at, but the newest checkpoint is $(newest "$run")"
    stopped=$((stopped + 1))
  done
  must_train "$run" --resume "$@"
  same_run "$straight" "$run"
}

updates_of() {
  sed -nE 's/.*"event":"end".*"update":([0-9]+).*/\1/p' "$1/log.jsonl" | tail -n 1
}

toy_data
must_train thor "${thor[@]}"
must_train skip "${skip[@]}"
thor_updates=$(updates_of thor)
skip_updates=$(updates_of skip)
grep -q '"reason":"patience"' skip/log.jsonl || fail "skip: wanted it to lose patience: $(tail -n 1 skip/log.jsonl)"
for curve in train/loss train/nll_second train/consistency train/learning_rate train/target_tokens_per_second \
  train/resident_mib valid/loss valid/bleu; do
  event=$([[ $curve == train/* ]] && echo update || echo validation)
  [[ $(LC_ALL=C grep -aoE "${curve}[^_a-z]" thor/events/* | wc -l) == "$(grep -c "\"event\":\"$event\"" thor/log.jsonl)" ]] ||
    fail "thor: wanted a point of $curve in its TensorBoard events for each line of the log"
done
shown "TensorBoard events hold the curves of training and validation, a point for each line of the log"
grep -qE '"bleu":[1-9]' thor/log.jsonl || fail "thor: wanted a BLEU above 1: $(grep '"bleu"' thor/log.jsonl)"

killed thor_killed thor 13 "$thor_updates" "${thor[@]}"
killed skip_killed skip 7 "$skip_updates" "${skip[@]}"
shown "killed 20 times on the way to $thor_updates and $skip_updates updates: same bytes, log and best"

# Routers that carry something of their own from update to update: biases, two stages, tables, what the log counts; and a
# mixture, which counts too.
for method in loss_free stable_moe hash moe_dec; do
  routed=(--set "train.method=$method" --set model.experts.count=3 --set train.threads=2 --set train.max_updates=70
    --set train.average_decay=0.9)
  [[ $method != stable_moe ]] || routed+=(--set train.routing.first_stage=30)
  must_train "$method" "${routed[@]}"
  grep -q '"event":"routing"' "$method/log.jsonl" || fail "$method: wanted lines of its routers in the log"
  killed "${method}_killed" "$method" 4 70 "${routed[@]}"
done
must_train stable_raised --set train.method=stable_moe --set train.max_updates=40
must_train stable_raised --resume --set train.method=stable_moe --set train.max_updates=60
grep -q '^ *first_stage: 4$' stable_raised/config.yaml || fail "stable_raised: wanted the first stage to stay a tenth of 40"
shown "trainings with routers of three kinds and of a mixture, killed 4 times each: same bytes, log and best"

stopped=0
terminated thor_stopped thor 2 "$thor_updates" "${thor[@]}"
terminated skip_stopped skip 2 "$skip_updates" "${skip[@]}"
((stopped > 0)) || fail "wanted to stop a training by SIGTERM, but all ended before"
shown "$stopped stops by SIGTERM: exit code 0, saved where it stopped, same bytes, log and best"

must_train thor_raised --set train.max_updates=60 "${thor[@]}"
must_train thor_raised --resume "${thor[@]}" --set train.threads=2
same_run thor thor_raised
grep -q '^ *max_updates: 200$' thor_raised/config.yaml || fail "thor_raised: config.yaml keeps the former max_updates"
shown "60 updates, then more up to $thor_updates on two threads: same bytes, log and best"

start two_at_once "${thor[@]}"
wait_for_update "$pid" two_at_once 3
kill -STOP "$pid"
refused 1 "another process is writing here" two_at_once --resume "${thor[@]}"
kill -CONT "$pid"
wait "$pid" || fail "two_at_once: $(cat two_at_once.err)"
same_run thor two_at_once
shown "a second training on the same run is refused, and the first one does not notice"

# The state is safe before the last validation begins, whatever becomes of that. Wide beams make it slow enough to be killed.
slow=(--set train.max_updates=20 --set train.validation.every=0 --set train.checkpoint_every=0 --set train.validation.beam=30)
must_train slow "${slow[@]}"
start slow_killed "${slow[@]}"
while [[ ! -e slow_killed/checkpoints/update-20 ]] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
kill -KILL "$pid" 2>/dev/null || fail "slow_killed: wanted a checkpoint before the last validation, but the run is over"
wait "$pid" 2>/dev/null || true
! grep -q '"event":"validation"' slow_killed/log.jsonl || fail "slow_killed: wanted a checkpoint before the last validation"
must_train slow_killed --resume "${slow[@]}"
same_run slow slow_killed
shown "killed while it validates for the last time: nothing to train again, same bytes, log and best"

cosine=(--set train.optimizer.schedule=cosine)
must_train cosine "${cosine[@]}" --set train.max_updates=10
refused 2 "train.max_updates was 10, now 20" cosine --resume "${cosine[@]}" --set train.max_updates=20
shown "a cosine schedule, which is as long as the run, refuses more updates"
