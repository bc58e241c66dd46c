#!/usr/bin/env bash
# Trains each method on each fold of a set of math word problems with several seeds and the same updates, writes equations for
# the tested fold with half of the experts a token and with all, and prints how many problems they solve: of each run, then mean,
# standard deviation and 95 % interval over the seeds (Student's t) of the share over all folds. Runs that are done are kept, so
# it may be stopped and started again.
#   scripts/compare_solving_rate.sh FOLDER [--updates N] [--seeds "1 2 3"] [--folds "0 1 2 3 4"] [--methods "dense smoe_dropout"]
#                                   [--experts "8 16"] [--beam N] [--jobs N] [--threads N] [--megin PROGRAM] [--runs FOLDER]
# FOLDER has base_tiny.yaml, with a variable FOLD where its table has folds, and its last name is the table's. --methods: with
# METHOD_tiny.yaml in FOLDER, or any train.method. --beam 1 is greedy, as the published code. Another number of updates, or another FOLDER of the
# same last name, wants another folder of --runs.
# Example: MEGIN_DATA=... scripts/compare_solving_rate.sh recipes/smoe_dropout/math/asdiv-a --jobs 2 --threads 1
set -euo pipefail

# shellcheck source=scripts/comparison.sh
source "$(dirname "$0")/comparison.sh"

updates=1500 seeds="1 2 3" methods="dense smoe_dropout" folds="0 1 2 3 4" experts="8 16" beam=1 jobs=1 threads=0
megin=build/release/megin runs=runs/compare more_options="folds experts beam"
read_comparison_options "$@" || { sed -n '2,13s/^# //p' "$0" >&2; exit 2; }
: "${MEGIN_DATA:?wanted the folder that holds math/}"
table=$(basename "$recipes")
if grep -q '^ *FOLD:' "$recipes/base_tiny.yaml"; then problems=$MEGIN_DATA/math/$table.tsv; else problems=$MEGIN_DATA/math/${table}_test.tsv folds=all; fi
[[ -s $problems ]] || { echo "wanted a table of problems, found none at $problems" >&2; exit 2; }

data_of() { echo "data/math/$table-$1"; }
for fold in $folds; do
  [[ -d $(data_of "$fold") ]] ||
    "$megin" prepare "$recipes/base_tiny.yaml" --set "variables.FOLD=$fold" --set "data.output=$(data_of "$fold")" >&2
done

train_run() {
  local method=$1 seed=$2 fold=$3 run=$4 recipe=$recipes/${1}_tiny.yaml how=()
  [[ -e $recipe ]] || { recipe=$recipes/base_tiny.yaml; how=(--set "train.method=$method"); }
  "$megin" train "$recipe" "${how[@]}" --resume --quiet --set "variables.FOLD=$fold" --set "train.data=$(data_of "$fold")" \
    --set "train.run=$run" --set "train.seed=$seed" --set "train.threads=$threads" --set "train.max_updates=$updates" \
    --set "train.optimizer.warmup=$((updates / 10))" --set "train.checkpoint_every=$((updates / 3))"
  # A training that was asked to stop ends well, and is not done.
  tail -n 1 "$run/log.jsonl" | grep -q '"reason":"max_updates"' || return 255
  echo "$updates" >"$run.done"
}

one_run() {
  local method=$1 seed=$2 fold run way found
  for fold in $folds; do
    run=$folder/$method-$seed-$fold
    [[ -s $run.done ]] || train_run "$method" "$seed" "$fold" "$run"
    for way in $(ways_of "$method"); do
      found=$run.${way%%=*}.hyp
      [[ ! -s $found ]] || continue
      "$megin" translate "$run/model" --experts "${way#*=}" --beam "$beam" --quiet --threads "$((threads > 0 ? threads : 1))" \
        --input "$(data_of "$fold")/test.src" --output "$found.part"
      mv "$found.part" "$found"
    done
  done
}
export -f one_run train_run ways_of data_of
export folder recipes table folds megin updates threads beam experts

run_all

number() { grep -oE "\"$2\":[0-9]+" <<<"$1" | head -n 1 | cut -d: -f2; }
{
  echo "method,seed,fold,experts,solved,total"
  for method in $methods; do
    for seed in $seeds; do
      for fold in $folds; do
        rows=()
        [[ $fold == all ]] || rows=(--where "fold = $fold")
        for way in $(ways_of "$method"); do
          score=$("$megin" score "$folder/$method-$seed-$fold.${way%%=*}.hyp" --equations "$problems" "${rows[@]}" --json --quiet)
          echo "$method,$seed,$fold,${way%%=*},$(number "$score" solved),$(number "$score" total)"
        done
      done
    done
  done
} | tee "$folder/solved.csv"
echo "method, experts a token: mean, standard deviation (n - 1) and 95 % interval over the seeds of the percentage solved"
for method in $methods; do
  for way in $(ways_of "$method"); do
    awk -F, -v method="$method" -v experts="${way%%=*}" '
      $1 == method && $4 == experts { solved[$2] += $5; total[$2] += $6 }
      END {
        split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262", quantile, " ")
        for (seed in solved) { n++; share = 100 * solved[seed] / total[seed]; sum += share; squares += share * share }
        mean = sum / n
        if (n == 1) { printf "%s, %s: %.2f (one seed)\n", method, experts, mean; exit }
        deviation = sqrt(squares > n * mean * mean ? (squares - n * mean * mean) / (n - 1) : 0)
        reach = (n <= 10 ? quantile[n - 1] : 2) * deviation / sqrt(n)
        printf "%s, %s: %.2f, %.2f, %.2f to %.2f\n", method, experts, mean, deviation, mean - reach, mean + reach
      }' "$folder/solved.csv"
  done
done
