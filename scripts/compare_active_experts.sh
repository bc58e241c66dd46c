#!/usr/bin/env bash
# Trains each method of a folder of recipes with several seeds and the same updates, and prints bits a byte of the test text
# with 1, 2, 4 ... experts a token, as far as a method's models can be asked: each run's, and mean and standard deviation.
# Of thor, 1 is an expert drawn for each part of the text, and all is their mean. Runs that are done are kept, so it may be
# stopped and started again.
#   scripts/compare_active_experts.sh FOLDER [--updates N] [--seeds "1 2 3"] [--methods "dense top_k ..."] [--experts "1 2 ..."]
#                                     [--jobs N] [--threads N] [--blocks N] [--test FILE] [--megin PROGRAM] [--runs FOLDER]
# --blocks: of the validation text, measured 10 times in each training. --test: another text than the data's test set. Another
# number of updates wants another --runs.
# Example: MEGIN_DATA=... scripts/compare_active_experts.sh recipes/smoe_dropout --updates 600 --jobs 2 --threads 1
set -euo pipefail

# shellcheck source=scripts/comparison.sh
source "$(dirname "$0")/comparison.sh"

updates=1000 seeds="1 2 3" methods="dense thor top_k top_k_growing smoe_dropout" experts="1 2 4 8 16" jobs=1 threads=0 blocks=400
megin=build/release/megin runs=runs/compare test='' more_options="experts blocks test"
read_comparison_options "$@" || { sed -n '2,12s/^# //p' "$0" >&2; exit 2; }
((updates >= 20)) || { echo "--updates: wanted 20 or more, found $updates" >&2; exit 2; }
data=$(prepared_data "$recipes/common_tiny.yaml")
[[ -n $test ]] || test=$data/test.tgt
[[ -s $test ]] || { echo "--test: wanted a text, found none at $test" >&2; exit 2; }

one_run() {
  local method=$1 run=$folder/$1-$2 way found
  if [[ ! -s $run.done ]]; then
    "$megin" train "$recipes/${method}_tiny.yaml" --resume --quiet --set "train.run=$run" --set "train.seed=$2" \
      --set "train.threads=$threads" --set "train.max_updates=$updates" --set "train.optimizer.warmup=$((updates / 20))" \
      --set "train.validation.every=$((updates / 10))" --set "train.validation.sentences=$blocks" \
      --set "train.log_every=$((updates / 20))" --set "train.checkpoint_every=$((updates / 5))"
    # A training that was asked to stop ends well, and is not done.
    tail -n 1 "$run/log.jsonl" | grep -q '"reason":"max_updates"' || return 255
    echo "$updates" >"$run.done"
  fi
  for way in $(ways_of "$method"); do
    found=$run.${way%%=*}.json
    [[ ! -s $found ]] || continue
    "$megin" evaluate "$run/model" --text "$test" --experts "${way#*=}" --json --quiet \
      --threads "$((threads > 0 ? threads : 1))" >"$run.part"
    mv "$run.part" "$found"
  done
}
export -f one_run ways_of
export folder recipes megin updates threads blocks test experts

run_all

{
  echo "method,seed,experts,test_bits"
  for method in $methods; do
    for seed in $seeds; do
      for way in $(ways_of "$method"); do
        bits=$(grep -oE '"bits_per_(byte|token)":[0-9.]+' "$folder/$method-$seed.${way%%=*}.json" | cut -d: -f2)
        echo "$method,$seed,${way%%=*},$bits"
      done
    done
  done
} | tee "$folder/bits.csv"
echo "method, experts a token: mean and standard deviation (n - 1) of the test text's bits a byte, or a masked token"
for method in $methods; do
  for way in $(ways_of "$method"); do
    awk -F, -v method="$method" -v experts="${way%%=*}" '$1 == method && $3 == experts { n++; sum += $4; squares += $4 * $4 }
      END { mean = sum / n; deviation = (n > 1) ? sqrt((squares - n * mean * mean) / (n - 1)) : 0
            printf "%s, %s: %.4f, %.4f\n", method, experts, mean, deviation }' "$folder/bits.csv"
  done
done
