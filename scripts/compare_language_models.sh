#!/usr/bin/env bash
# Trains each language model of a folder of recipes with several seeds and the same updates, and prints perplexities over
# the whole validation and test texts: each run's, mean and standard deviation of each method; then until when routers went
# on moving tokens (with fluctuation-SEED.svg and .csv), and writes report.html, where the seeds of a method are one line. Runs
# that are done are kept, so it may be stopped and started again.
#   scripts/compare_language_models.sh FOLDER [--updates N] [--seeds "1 2 3"] [--methods "dense switch ..."] [--jobs N]
#                                      [--threads N] [--blocks N] [--megin PROGRAM] [--runs FOLDER]
# --blocks: of the validation text, measured 50 times in each training. Another number of updates wants another --runs.
# Example: MEGIN_DATA=... scripts/compare_language_models.sh recipes/stablemoe --updates 1000 --jobs 2 --threads 1
#   scripts/compare_language_models.sh recipes/smoe_dropout --methods "dense top_k top_k_growing smoe_dropout"
set -euo pipefail

# shellcheck source=scripts/comparison.sh
source "$(dirname "$0")/comparison.sh"

updates=1000 seeds="1 2 3" methods="dense dense_same_cost switch base hash stable_moe base_frozen" jobs=1 threads=0 blocks=200
megin=build/release/megin runs=runs/compare more_options=blocks
read_comparison_options "$@" || { sed -n '2,10s/^# //p' "$0" >&2; exit 2; }
((updates >= 50)) || { echo "--updates: wanted 50 or more, found $updates" >&2; exit 2; }
data=$(prepared_data "$recipes/common_tiny.yaml")

one_run() {
  local method=$1 seed=$2 run=$folder/$1-$2 split
  [[ ! -s $run.test.json ]] || return 0
  "$megin" train "$recipes/${method}_tiny.yaml" --resume --quiet --set "train.run=$run" --set "train.seed=$seed" \
    --set "train.threads=$threads" --set "train.max_updates=$updates" --set "train.optimizer.warmup=$((updates / 20))" \
    --set "train.validation.every=$((updates / 50))" --set "train.validation.sentences=$blocks" \
    --set "train.log_every=$((updates / 50))" --set "train.checkpoint_every=$((updates / 5))"
  # A training that was asked to stop ends well, and is not done.
  tail -n 1 "$run/log.jsonl" | grep -q '"reason":"max_updates"' || return 255
  for split in valid test; do
    "$megin" evaluate "$run/model" --text "$data/$split.tgt" --json --quiet --threads "$((threads > 0 ? threads : 1))" >"$run.part"
    mv "$run.part" "$run.$split.json"
  done
}
export -f one_run
export folder recipes megin updates threads blocks data

run_all

number() { grep -oE "\"$2\":[0-9.]+" "$1" | head -n 1 | cut -d: -f2; }
{
  echo "method,seed,valid_perplexity,test_perplexity,test_word_perplexity"
  for method in $methods; do
    for seed in $seeds; do
      run=$folder/$method-$seed
      echo "$method,$seed,$(number "$run.valid.json" perplexity),$(number "$run.test.json" perplexity),$(number "$run.test.json" word_perplexity)"
    done
  done
} | tee "$folder/perplexities.csv"
echo "method: mean and standard deviation (n - 1) of validation, of test perplexity"
for method in $methods; do
  awk -F, -v method="$method" '$1 == method { n++; for (i = 3; i <= 4; ++i) { sum[i] += $i; squares[i] += $i * $i } }
    function deviation(i) { mean = sum[i] / n; return (n > 1) ? sqrt((squares[i] - n * mean * mean) / (n - 1)) : 0 }
    END { printf "%s: %.2f, %.2f; %.2f, %.2f\n", method, sum[3] / n, deviation(3), sum[4] / n, deviation(4) }' \
    "$folder/perplexities.csv"
done

# Methods without a router of their own leave no routes, and one validation's tell nothing.
all_runs=()
for seed in $seeds; do
  routed=()
  for method in $methods; do
    run=$folder/$method-$seed
    all_runs+=("$run")
    routes=("$run"/routing/*.routes)
    ((${#routes[@]} < 2)) || routed+=("$run")
  done
  ((${#routed[@]} > 0)) || continue
  echo "routing fluctuation, seed $seed"
  "$megin" analyze fluctuation "${routed[@]}" --quiet --svg "$folder/fluctuation-$seed.svg" --csv "$folder/fluctuation-$seed.csv"
done
"$megin" report "${all_runs[@]}" --quiet --output "$folder/report.html"
