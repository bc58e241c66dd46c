// megin analyze: what a training's experts did, and what a model's are.
#include <fmt/format.h>

#include <array>
#include <memory>
#include <ostream>

#include "base/error.h"
#include "cli/analysis.h"
#include "cli/command.h"
#include "cli/label_loss.h"
#include "cli/output_file.h"

namespace megin::cli {
namespace {

struct Analysis {
  const char* name;
  size_t most_paths;
  void (*run)(const AnalysisOptions& options, CommandContext& context);
};

constexpr std::array kAnalyses = {
    Analysis{"fluctuation", 12, &analyze_fluctuation}, Analysis{"experts", 1, &analyze_experts},
    Analysis{"similarity", 1, &analyze_similarity},    Analysis{"consistency", 12, &analyze_consistency},
    Analysis{"slimming", 1, &analyze_slimming},        Analysis{"votes", 1, &analyze_votes}};

void analyze(const std::string& what, const AnalysisOptions& options, CommandContext& context) {
  std::string names;
  for (const Analysis& analysis : kAnalyses) {
    names += (names.empty() ? "" : ", ") + std::string(analysis.name);
    if (what != analysis.name) continue;
    if (options.paths.size() > analysis.most_paths) {
      fail_usage("{}: wanted at most {} of PATH, found {}", what, analysis.most_paths, options.paths.size());
    }
    return analysis.run(options, context);
  }
  fail_usage("WHAT: wanted one of {}; found '{}'", names, what);
}

}  // namespace

void write_output(const std::string& path, const std::string& text, CommandContext& context) {
  OutputFile file(path, context.out);
  file.stream() << text;
  file.commit();
}

void add_analyze_command(Program& program) {
  struct Call {
    std::string what;
    AnalysisOptions options;
  };
  auto call = std::make_shared<Call>();
  CLI::App& command = program.add(
      {.name = "analyze",
       .summary = "Show what experts are and how they were used",
       .details =
           "fluctuation RUN...: until when routers went on moving tokens between experts (Dai et al. 2022), "
           "from the routes that every validation of a run wrote. The picture of one run has a line for "
           "each expert layer, that of several a line for each run, over the tokens of all its layers.\n"
           "experts MODEL: which symbols a hashed router, or one distilled by word, gives to each expert.\n"
           "similarity MODEL: how alike the experts of each layer answer the same random inputs.\n"
           "consistency FILE...: how far results spread over seeds, from the output of `megin evaluate "
           "--seeds K --json`.\n"
           "slimming MODEL: loss, FLOPs and decoding time of a token with 1, 2, 4 ... of a model's experts, "
           "on "
           "--text, or --src and --ref, of a classifier accuracy on --labels; and with --budget how many of "
           "them that allows. With --per-layer a "
           "number "
           "for each expert layer: from all experts downwards, the layer is lowered that costs the least "
           "loss for "
           "the FLOPs it saves.\n"
           "votes MODEL: how many tokens of --text, of --src and --ref, or of the sentences of --labels, "
           "choose each expert of each layer, "
           "from "
           "one pass over them; its --json is what megin convert --keep-experts reads.\n"
           "Loads and confidence over a training, and the pictures of fluctuation and consistency beside "
           "them, are in `megin report`.",
       .examples = "megin analyze fluctuation runs/switch --svg fluctuation.svg --csv fluctuation.csv\n"
                   "megin analyze fluctuation runs/base runs/stable_moe --svg fluctuation.svg\n"
                   "megin analyze experts runs/stable_moe --top 30\n"
                   "megin analyze similarity runs/thor --csv similarity.csv\n"
                   "megin evaluate runs/thor --src test.en --ref test.de --seeds 20 --json > thor.json\n"
                   "megin analyze consistency thor.json switch.json --svg violins.svg\n"
                   "megin analyze slimming elastic --text valid.txt --budget 2ms\n"
                   "megin analyze slimming elastic --text valid.txt --per-layer --budget 60%\n"
                   "megin analyze slimming runs/sst2 --labels test.tsv\n"
                   "megin analyze votes runs/smoe --text task.txt --json > votes.json"},
      [call](CommandContext& context) { analyze(call->what, call->options, context); });
  command.add_option("WHAT", call->what, "fluctuation, experts, similarity, consistency, slimming or votes")
      ->required();
  command.add_option("PATH", call->options.paths, "a run, a model or files, as said above")->required();
  command.add_option("--svg", call->options.svg, "file for the picture (fluctuation, consistency, slimming)");
  command.add_option("--csv", call->options.csv, "file for all numbers");
  command.add_option("--top", call->options.top, "of experts: symbols shown of each; of votes: experts")
      ->capture_default_str();
  command.add_option("--key", call->options.key, "of consistency: bleu or loss")->capture_default_str();
  command.add_option(
      "--text", call->options.files.text,
      "of slimming, votes: a text for a language model; of votes also sentences, one a line, for "
      "a classifier");
  command.add_option("--src", call->options.files.source,
                     "of slimming, votes: sources for one that translates");
  command.add_option("--ref", call->options.files.reference, "of slimming, votes: and their references");
  add_label_options(command, call->options.files.labels);
  command.add_option("--tag", call->options.tag,
                     "of slimming, votes: target-language tag put before each source line");
  command
      .add_option("--budget", call->options.budget,
                  "of slimming: most time for a token, as 20ms, or FLOPs relative to all experts', as 60%")
      ->type_name("TIME|SHARE");
  command.add_flag("--per-layer", call->options.per_layer, "of slimming: a number of experts for each layer");
  command
      .add_option("--lines", call->options.lines,
                  "most lines read of the files: of slimming --per-layer 200 if not given, of votes all")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000'000}).description(""));
  command
      .add_option("--active", call->options.active,
                  "of votes: experts that a token votes for; else as the model has it, or half of them")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}).description(""));
  add_threads_option(command, call->options.threads);
}

}  // namespace megin::cli
