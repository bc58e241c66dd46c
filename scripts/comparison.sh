# Sourced by the scripts that compare methods over seeds, after `set -euo pipefail`: their common options, where a folder
# of recipes has its data, the runs themselves, and with how many experts a method's models are measured.
# shellcheck shell=bash

# read_comparison_options FOLDER OPTIONS...: sets recipes and folder, and what the options name; their defaults are the
# caller's variables updates, seeds, methods, jobs, threads, megin and runs, and any more that it lists in more_options.
# Returns 2 for what is no such call.
read_comparison_options() {
  [[ -d ${1:-} ]] || return 2
  recipes=$1
  shift
  while (($# > 1)); do
    [[ $1 == --* && " updates seeds methods jobs threads megin runs ${more_options:-} " == *" ${1#--} "* ]] || return 2
    printf -v "${1#--}" '%s' "$2"
    shift 2
  done
  (($# == 0)) || return 2
  # shellcheck disable=SC2154  # the caller's
  folder=$runs/$(basename "$recipes")
  mkdir -p "$folder"
}

# prepared_data BASE: prints the data folder that a recipe, or the one that it includes, names; prepares it if need be.
prepared_data() {
  local base=$1 data
  data=$(awk '$1 == "output:" { print $2; exit }' "$base")
  if [[ -z $data ]]; then
    data=$(awk '$1 == "output:" { print $2; exit }' "$(dirname "$base")/$(awk '$1 == "include:" { print $2; exit }' "$base")")
  fi
  # shellcheck disable=SC2154  # the caller's
  [[ -d $data ]] || "$megin" prepare "$base" >&2 || return
  echo "$data"
}

# Calls one_run METHOD SEED, which the caller has exported with what it uses, for all of them, seed by seed.
run_all() {
  # shellcheck disable=SC2154  # the caller's
  for seed in $seeds; do
    for method in $methods; do echo "$method $seed"; done
  done | xargs -P "$jobs" -L 1 bash -euo pipefail -c 'one_run "$@"' run
}

# ways_of METHOD: how its models are asked, as LABEL=MODE of --experts, by the caller's list of numbers, experts.
ways_of() {
  # shellcheck disable=SC2154  # the caller's
  case $1 in
    dense* | r_drop*) echo "all=auto" ;;
    thor*) echo "1=sentence" "all=ensemble" ;;
    top_k* | smoe_dropout*) for k in $experts; do echo "$k=k=$k"; done ;;
    *) echo "own=auto" ;;
  esac
}
