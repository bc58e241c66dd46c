#!/usr/bin/env bash
# Trains each method of a folder of recipes with several seeds at equal training FLOPs, translates the test set with beam 5
# and prints BLEU: each run's, mean and standard deviation of each method, each component's of the mixtures moe_tok and
# moe_dec, and the paired bootstrap of neighbouring methods. Runs that are done are kept, so it may be stopped and started again.
#   scripts/compare_methods.sh FOLDER [--updates N] [--seeds "1 2 3"] [--methods "dense r_drop thor thor4"] [--jobs N]
#                              [--threads N] [--megin PROGRAM] [--runs FOLDER] [--against METHOD]
# --updates: of the methods with two passes over a batch (one pass: twice as many; smart, with three: two thirds; moe_tok
# and moe_dec, with 1.6: five quarters). --jobs: runs at once. Another number of updates, or another FOLDER of the same last name, wants another folder of --runs.
# --methods: with METHOD_tiny.yaml in FOLDER, or any train.method. --against: the paired bootstrap of every other method
# against this one of them, instead of its neighbour.
# Example: MEGIN_DATA=... scripts/compare_methods.sh recipes/multi30k --updates 1000 --jobs 2 --threads 1
set -euo pipefail

# shellcheck source=scripts/comparison.sh
source "$(dirname "$0")/comparison.sh"

updates=2000 seeds="1 2 3" methods="dense r_drop thor thor4" jobs=1 threads=0 megin=build/release/megin runs=runs/compare
against='' more_options=against
read_comparison_options "$@" || { sed -n '2,12s/^# //p' "$0" >&2; exit 2; }
[[ -z $against || " $methods " == *" $against "* ]] || { echo "--against: wanted one of $methods, found $against" >&2; exit 2; }
data=$(prepared_data "$recipes/base_tiny.yaml")
test=$data/test.src
reference=$data/test.tgt

is_mixture() { [[ $1 == moe_tok || $1 == moe_dec ]]; }

# translate_test RUN HYPOTHESES [OPTIONS...]: unless they are there.
translate_test() {
  local model=$1/model hypotheses=$2
  shift 2
  [[ ! -s $hypotheses ]] || return 0
  "$megin" translate "$model" "$@" --quiet --beam 5 --threads "$((threads > 0 ? threads : 1))" \
    --input "$test" --output "$hypotheses.part"
  mv "$hypotheses.part" "$hypotheses"
}

# The passes that an update of a method computes; without a recipe of its own, base_tiny.yaml's with that method.
train_run() {
  local method=$1 seed=$2 run=$3 passes=1 recipe=$recipes/${1}_tiny.yaml how=()
  case $method in
    thor* | r_drop* | r3f*) passes=2 ;;
    smart*) passes=3 ;;
    # By the FLOPs in the logs of recipes/multi30k, with two components and hard EM; a third is only forward.
    moe_tok | moe_dec) passes=1.6 ;;
    top_k* | loss_free* | expert_choice* | smoe_dropout* | hash_position* | random_experts*)
      echo "$method computes more than one expert a token: no number of updates gives it equal FLOPs here" >&2
      return 255
      ;;
  esac
  [[ -e $recipe ]] || { recipe=$recipes/base_tiny.yaml; how=(--set "train.method=$method"); }
  local count
  count=$(awk -v updates="$updates" -v passes="$passes" 'BEGIN { printf "%d", updates * 2 / passes }')
  "$megin" train "$recipe" "${how[@]}" --resume --quiet --set "train.run=$run" --set "train.seed=$seed" \
    --set "train.threads=$threads" --set "train.max_updates=$count" --set "train.optimizer.warmup=$((count / 5))" \
    --set "train.validation.every=$((count / 8))" --set "train.checkpoint_every=$((count / 8))"
  # A training that was asked to stop ends well, and is not done.
  tail -n 1 "$run/log.jsonl" | grep -q '"reason":"max_updates"' || return 255
}

one_run() {
  local method=$1 run=$folder/$1-$2 experts=() component components
  [[ $method != thor* ]] || experts=(--experts ensemble)
  if [[ ! -s $run.hyp ]]; then
    train_run "$method" "$2" "$run"
    translate_test "$run" "$run.hyp" "${experts[@]}"
  fi
  is_mixture "$method" || return 0
  components=$(awk '$1 == "components:" { print $2; exit }' "$run/config.yaml")
  for ((component = 0; component < components; ++component)); do
    translate_test "$run" "$run.path$component.hyp" --experts "path:$component"
  done
}
export -f one_run train_run translate_test is_mixture
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

# Of each mixture every component by itself: the scores above are of the likeliest for each source.
mixtures=()
for method in $methods; do ! is_mixture "$method" || mixtures+=("$method"); done
((${#mixtures[@]} == 0)) || {
  echo "method,seed,component,bleu"
  for method in "${mixtures[@]}"; do
    for seed in $seeds; do
      for hypotheses in "$folder/$method-$seed".path*.hyp; do
        component=${hypotheses##*.path}
        echo "$method,$seed,${component%.hyp},$(bleu "$hypotheses")"
      done
    done
  done
} | tee "$folder/components.csv"

# compare METHOD OTHER
compare() {
  for seed in $seeds; do
    echo "$1 against $2, seed $seed"
    "$megin" score "$folder/$1-$seed.hyp" --vs "$folder/$2-$seed.hyp" --ref "$reference" --width 2 --quiet
  done
}
previous=
for method in $methods; do
  other=${against:-$previous}
  [[ -z $other || $other == "$method" ]] || compare "$method" "$other"
  previous=$method
done
