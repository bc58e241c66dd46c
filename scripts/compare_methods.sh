#!/usr/bin/env bash
# Trains each method of a folder of recipes with several seeds at equal training FLOPs, translates the test set with beam 5
# and prints BLEU: each run's, mean and standard deviation of each method, and the paired bootstrap of neighbouring methods.
# Runs that are done are kept, so it may be stopped and started again.
#   scripts/compare_methods.sh FOLDER [--updates N] [--seeds "1 2 3"] [--methods "dense r_drop thor thor4"] [--jobs N]
#                              [--threads N] [--megin PROGRAM] [--runs FOLDER]
# --updates: of the methods with two passes over a batch (one pass: twice as many; smart, with three: two thirds; moe_tok
# and moe_dec, with 1.6: five quarters). --jobs: runs at once. Another number of updates, or another FOLDER of the same last name, wants another folder of --runs.
# --methods: with METHOD_tiny.yaml in FOLDER, or any train.method.
# Example: MEGIN_DATA=... scripts/compare_methods.sh recipes/multi30k --updates 1000 --jobs 2 --threads 1
set -euo pipefail

# shellcheck source=scripts/comparison.sh
source "$(dirname "$0")/comparison.sh"

updates=2000 seeds="1 2 3" methods="dense r_drop thor thor4" jobs=1 threads=0 megin=build/release/megin runs=runs/compare
read_comparison_options "$@" || { sed -n '2,13s/^# //p' "$0" >&2; exit 2; }
data=$(prepared_data "$recipes/base_tiny.yaml")
test=$data/test.src
reference=$data/test.tgt

# The passes that an update of a method computes; without a recipe of its own, base_tiny.yaml's with that method.
one_run() {
  local method=$1 seed=$2 run=$folder/$1-$2 passes=1 recipe=$recipes/${1}_tiny.yaml how=()
  case $method in
    thor* | r_drop* | r3f*) passes=2 ;;
    smart*) passes=3 ;;
    # By the FLOPs in the logs of recipes/multi30k, with two components and hard EM; a third is only forward.
    moe_tok | moe_dec) passes=1.6 ;;
    top_k* | loss_free* | expert_choice* | smoe_dropout*)
      echo "$method computes more than one expert a token: no number of updates gives it equal FLOPs here" >&2
      return 255
      ;;
  esac
  [[ ! -s $run.hyp ]] || return 0
  [[ -e $recipe ]] || { recipe=$recipes/base_tiny.yaml; how=(--set "train.method=$method"); }
  local count
  count=$(awk -v updates="$updates" -v passes="$passes" 'BEGIN { printf "%d", updates * 2 / passes }')
  "$megin" train "$recipe" "${how[@]}" --resume --quiet --set "train.run=$run" --set "train.seed=$seed" \
    --set "train.threads=$threads" --set "train.max_updates=$count" --set "train.optimizer.warmup=$((count / 5))" \
    --set "train.validation.every=$((count / 8))" --set "train.checkpoint_every=$((count / 8))"
  # A training that was asked to stop ends well, and is not done.
  tail -n 1 "$run/log.jsonl" | grep -q '"reason":"max_updates"' || return 255
  local experts=()
  [[ $method != thor* ]] || experts=(--experts ensemble)
  "$megin" translate "$run/model" "${experts[@]}" --quiet --beam 5 --threads "$((threads > 0 ? threads : 1))" \
    --input "$test" --output "$run.part"
  mv "$run.part" "$run.hyp"
}
export -f one_run
export folder recipes megin updates threads test

run_all

bleu() { "$megin" score "$1" --ref "$reference" --json --quiet | sed 's/.*"score": *\([0-9.]*\).*/\1/'; }
{
  echo "method,seed,bleu"
  for method in $methods; do
    for seed in $seeds; do echo "$method,$seed,$(bleu "$folder/$method-$seed.hyp")"; done
  done
} | tee "$folder/scores.csv"
echo "method: mean, standard deviation (n - 1)"
for method in $methods; do
  awk -F, -v method="$method" '$1 == method { n++; sum += $3; squares += $3 * $3 }
    END { mean = sum / n; printf "%s: %.2f, %.2f\n", method, mean, (n > 1) ? sqrt((squares - n * mean * mean) / (n - 1)) : 0 }' \
    "$folder/scores.csv"
done
previous=
for method in $methods; do
  for seed in $seeds; do
    [[ -z $previous ]] || {
      echo "$method against $previous, seed $seed"
      "$megin" score "$folder/$method-$seed.hyp" --vs "$folder/$previous-$seed.hyp" --ref "$reference" --width 2 --quiet
    }
  done
  previous=$method
done
