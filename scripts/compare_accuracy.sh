#!/usr/bin/env bash
# Trains each method of a folder of recipes with several seeds and the same updates, and prints the accuracy on the test set with
# half of the experts a token and with all of them, as far as a method's models can be asked: each run's with its 95 % interval
# (Wilson), and mean and standard deviation over seeds. Of thor, 1 is an expert drawn for each sentence, and all is their
# mean. Runs that are done are kept, so it may be stopped and started again.
#   scripts/compare_accuracy.sh FOLDER [--updates N] [--seeds "1 2 3"] [--methods "dense smoe_dropout ..."] [--experts "8 16"]
#                               [--from MODEL] [--jobs N] [--threads N] [--test FILE] [--megin PROGRAM] [--runs FOLDER]
# --from: a model whose weights all methods begin with (METHOD in the name is the method). --test: another TSV than the data's test
# set. Another number of updates, or another --from, wants another --runs.
# Example: MEGIN_DATA=... scripts/compare_accuracy.sh recipes/smoe_dropout/sst2 --methods "dense smoe_dropout" --jobs 2 --threads 1
set -euo pipefail

# shellcheck source=scripts/comparison.sh
source "$(dirname "$0")/comparison.sh"

updates=1000 seeds="1 2 3" methods="dense thor top_k smoe_dropout" experts="8 16" jobs=1 threads=0
megin=build/release/megin runs=runs/compare from='' test='' more_options="experts from test"
read_comparison_options "$@" || { sed -n '2,11s/^# //p' "$0" >&2; exit 2; }
((updates >= 20)) || { echo "--updates: wanted 20 or more, found $updates" >&2; exit 2; }
data=$(prepared_data "$recipes/common_tiny.yaml")
[[ -n $test ]] || test=$data/test.tsv
[[ -s $test ]] || { echo "--test: wanted sentences with labels, found none at $test" >&2; exit 2; }

# What is measured: measure MODEL MODE prints one object with numbers "right", "lines" and "accuracy" (a share), and their
# "interval" as [low,high].
measure() {
  "$megin" evaluate "$1" --labels "$test" --experts "$2" --json --quiet --threads "$((threads > 0 ? threads : 1))"
}

one_run() {
  local method=$1 run=$folder/$1-$2 way found begin=()
  if [[ ! -s $run.done ]]; then
    [[ -z $from ]] || begin=(--from "${from//METHOD/$method}")
    "$megin" train "$recipes/${method}_tiny.yaml" --resume --quiet "${begin[@]}" --set "train.run=$run" --set "train.seed=$2" \
      --set "train.threads=$threads" --set "train.max_updates=$updates" --set "train.optimizer.warmup=$((updates / 20))" \
      --set "train.validation.every=$((updates / 10))" --set "train.log_every=$((updates / 20))" \
      --set "train.checkpoint_every=$((updates / 5))"
    # A training that was asked to stop ends well, and is not done.
    tail -n 1 "$run/log.jsonl" | grep -q '"reason":"max_updates"' || return 255
    echo "$updates" >"$run.done"
  fi
  for way in $(ways_of "$method"); do
    found=$run.${way%%=*}.json
    [[ ! -s $found ]] || continue
    measure "$run/model" "${way#*=}" >"$run.part"
    mv "$run.part" "$found"
  done
}
export -f one_run ways_of measure
export folder recipes megin updates threads test experts from

run_all

# number FILE KEY: the first number of that name.
number() { grep -oE "\"$2\":[0-9.e-]+" "$1" | head -n 1 | cut -d: -f2; }
{
  echo "method,seed,experts,right,of,accuracy,low,high"
  for method in $methods; do
    for seed in $seeds; do
      for way in $(ways_of "$method"); do
        found=$folder/$method-$seed.${way%%=*}.json
        interval=$(grep -oE '"interval":\[[0-9.e,-]+' "$found" | head -n 1 | cut -d'[' -f2)
        echo "$method,$seed,${way%%=*},$(number "$found" right),$(number "$found" lines),$(number "$found" accuracy),$interval"
      done
    done
  done
} | tee "$folder/accuracy.csv"
echo "method, experts a token: mean and standard deviation (n - 1) of the accuracy in %, and the 95 % interval of a run in the mean"
for method in $methods; do
  for way in $(ways_of "$method"); do
    awk -F, -v method="$method" -v experts="${way%%=*}" '$1 == method && $3 == experts {
        n++; sum += $6; squares += $6 * $6; low += $7; high += $8 }
      END { mean = sum / n; deviation = (n > 1 && squares > n * mean * mean) ? sqrt((squares - n * mean * mean) / (n - 1)) : 0
            printf "%s, %s: %.2f, %.2f; %.2f to %.2f\n", method, experts, 100 * mean, 100 * deviation, 100 * low / n, 100 * high / n }' \
      "$folder/accuracy.csv"
  done
done
