// megin convert: a dense model as a model of experts.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/expert_vote_files.h"
#include "cli/measured_run.h"
#include "cli/model_path.h"
#include "cli/rewritten_model.h"
#include "config/enums.h"

namespace megin::cli {
namespace {

struct ConvertOptions {
  std::string model, output;
  std::string split = "contiguous";
  store::SplitOptions experts{.experts = 0};
  ReadFiles read;
  int64_t keep = 0;  // experts of a layer; 0: a dense model is split
  std::vector<std::string> votes;
};

// Which hidden units of each layer are active for which tokens of the files.
std::vector<store::UnitActivity> find_activity(const ConvertOptions& options, Console& console) {
  const runtime::ModelBundle bundle = runtime::open_model(options.model);
  const config::ModelConfig& config = bundle.weights->config;
  try {
    store::check_split(config, options.experts);  // before the text is read
  } catch (const UsageError& error) {
    fail_usage("{}: {}", options.model, error.what());
  }
  std::vector<store::UnitActivity> activity(
      static_cast<size_t>(config.encoder_layers + config.decoder_layers),
      store::UnitActivity(config.feed_forward));
  run_over(options.read,
           {.bundle = bundle, .dispatch = {}, .measured = {.activity = &activity}, .label = "reading"},
           console);
  return activity;
}

void keep_most_voted(const ConvertOptions& options, CommandContext& context) {
  if (options.votes.empty()) {
    fail_usage(
        "--keep-experts: wanted --votes FILE with it, which `megin analyze votes MODEL --json` writes");
  }
  if (options.read.given()) {
    fail_usage(
        "--text, --labels, --src and --ref: are read by `megin analyze votes`, not with --keep-experts");
  }
  const store::LayerVotes votes = read_votes(options.votes, find_model(options.model));
  const int64_t keep = options.keep;
  write_rewritten(options.model, options.output, fmt::format("the {} most voted experts of each layer", keep),
                  context, [&](const config::ModelConfig& model, const store::TensorLookup& tensors) {
                    for (const std::vector<uint64_t>& of : votes) {
                      if (static_cast<int64_t>(of.size()) == model.experts.count) continue;
                      fail_usage(
                          "wanted votes for {} experts of each layer, found {}; they are of another model",
                          model.experts.count, of.size());
                    }
                    return store::keep_experts(model, tensors, store::most_voted(votes, keep));
                  });
}

void convert(const ConvertOptions& options, CommandContext& context) {
  if ((options.keep > 0) == (options.experts.experts > 0)) {
    fail_usage(
        "wanted one of --to-experts N, which splits a dense model, and --keep-experts M, of a model with "
        "experts");
  }
  if (options.keep > 0) return keep_most_voted(options, context);
  if (!options.votes.empty()) fail_usage("--votes: wanted --keep-experts M with it");
  store::SplitOptions split = options.experts;
  split.split = config::parse_enum<store::ExpertSplit>(options.split, "--split");
  std::vector<store::UnitActivity> activity;
  if (split.split == store::ExpertSplit::kCoactivation) {
    activity = find_activity(options, context.console);
    split.activity = activity;
  } else if (options.read.given()) {
    fail_usage("--text, --labels, --src and --ref: are read for --split coactivation alone; found --split {}",
               options.split);
  }
  const std::string how = split.split == store::ExpertSplit::kCopy
                              ? fmt::format("{} copies of each feed-forward", split.experts)
                              : fmt::format("split into {} experts ({})", split.experts, options.split);
  write_rewritten(options.model, options.output, how, context,
                  [&](const config::ModelConfig& model, const store::TensorLookup& tensors) {
                    return split_into_experts(model, tensors, split);
                  });
}

}  // namespace

void add_convert_command(Program& program) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App& command = program.add(
      {.name = "convert",
       .summary = "Make a model of experts out of a dense one, or a smaller one out of a model of experts",
       .details =
           "Cuts every feed-forward into N experts of equal width (or copies it N times), chosen by a fixed "
           "random router with equal shares. With all N experts a token (--experts k=N, which is the default "
           "of "
           "such a model) it computes what the dense model did; with fewer it costs less and is another "
           "function, which a short training with growing k (train.method smoe_dropout, megin train --from) "
           "heals.\n"
           "With --keep-experts M, of a model whose tokens choose experts by scores: a model of the M "
           "experts of "
           "each layer that got most votes (megin analyze votes), with their rows of the router, to be "
           "trained "
           "on; with one expert it is dense.",
       .examples = "megin convert runs/dense elastic --to-experts 8\n"
                   "megin convert runs/dense elastic --to-experts 16 --split random\n"
                   "megin convert runs/dense elastic --to-experts 16 --split coactivation --text valid.txt\n"
                   "megin convert runs/dense upcycled --to-experts 4 --split copy --every 2\n"
                   "megin convert runs/smoe smaller --keep-experts 8 --votes votes.json"},
      [options](CommandContext& context) { convert(*options, context); });
  add_model_and_output(command, "a model directory, or a run directory with one", options->model,
                       options->output);
  command.add_option("--to-experts", options->experts.experts, "of a dense model: experts of a feed-forward");
  command.add_option("--keep-experts", options->keep, "of a model of experts: so many of each layer");
  command
      .add_option("--votes", options->votes,
                  "what megin analyze votes --json wrote; of several files the sum")
      ->type_name("FILE");
  command
      .add_option("--split", options->split,
                  "which hidden units an expert gets: contiguous, random, cluster (those that look alike), "
                  "coactivation (those that are active together, on the files given), or copy (all of them)")
      ->capture_default_str();
  command.add_option("--every", options->experts.every, "in every so many layers of each stack; 1: all")
      ->capture_default_str();
  command.add_option("--offset", options->experts.offset, "the first of them, from 0")->capture_default_str();
  command.add_option("--seed", options->experts.seed, "of the router, and of random and cluster")
      ->capture_default_str();
  add_read_files(command, options->read);
}

}  // namespace megin::cli
