// megin convert: a dense model as a model of experts.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/rewritten_model.h"
#include "config/enums.h"

namespace megin::cli {
namespace {

struct ConvertOptions {
  std::string model, output;
  std::string split = "contiguous";
  store::SplitOptions experts;
};

void convert(const ConvertOptions& options, CommandContext& context) {
  store::SplitOptions split = options.experts;
  split.split = config::parse_enum<store::ExpertSplit>(options.split, "--split");
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
       .summary = "Make a model of experts out of a dense one",
       .details =
           "Cuts every feed-forward into N experts of equal width (or copies it N times), chosen by a fixed "
           "random router with equal shares. With all N experts a token (--experts k=N, which is the default "
           "of "
           "such a model) it computes what the dense model did; with fewer it costs less and is another "
           "function, which a short training with growing k (train.method smoe_dropout, megin train --from) "
           "heals.",
       .examples = "megin convert runs/dense elastic --to-experts 8\n"
                   "megin convert runs/dense elastic --to-experts 16 --split random\n"
                   "megin convert runs/dense upcycled --to-experts 4 --split copy --every 2"},
      [options](CommandContext& context) { convert(*options, context); });
  add_model_and_output(command, "a dense model directory, or a run directory with one", options->model,
                       options->output);
  command.add_option("--to-experts", options->experts.experts, "experts of a feed-forward")->required();
  command
      .add_option(
          "--split", options->split,
          "which hidden units an expert gets: contiguous, random, cluster (those that look alike), or "
          "copy (all of them)")
      ->capture_default_str();
  command.add_option("--every", options->experts.every, "in every so many layers of each stack; 1: all")
      ->capture_default_str();
  command.add_option("--offset", options->experts.offset, "the first of them, from 0")->capture_default_str();
  command.add_option("--seed", options->experts.seed, "of the router, and of random and cluster")
      ->capture_default_str();
}

}  // namespace megin::cli
