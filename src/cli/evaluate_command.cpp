// megin evaluate: loss, perplexity and BLEU of a model on a test set, perplexity of a language model on a
// text, or accuracy of a classifier.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/decoding_options.h"
#include "cli/label_evaluation.h"
#include "cli/label_loss.h"
#include "cli/test_files.h"
#include "config/enums.h"
#include "metric/corpus.h"
#include "runtime/translator.h"

namespace megin::cli {
namespace {

struct EvaluateOptions {
  DecodingOptions decoding;
  TestFiles files;
  int64_t block_tokens = 0;
  int64_t seeds = 1;
  bool loss_only = false;
};

// One pass over the test set.
struct Evaluation {
  uint64_t seed = 0;
  std::string experts;  // how they were chosen
  FileLoss of_files;
  metric::Score bleu;
  double seconds = 0;
};

class Evaluator {
 public:
  Evaluator(const EvaluateOptions& options, const runtime::ModelBundle& bundle,
            const runtime::Transformer& model, ThreadPool& pool)
      : options_(options),
        bundle_(bundle),
        model_(model),
        pool_(pool),
        search_(batched_search(options.decoding)),
        encoder_(bundle.source, line_options()),
        translator_(model, bundle.source, bundle.target, {search_, line_options()}),
        bleu_(metric::make_metric("bleu")),
        corpus_(*bleu_) {}

  Evaluation run(Progress& progress) {
    Evaluation result;
    result.experts = config::to_string(model_.dispatch());
    const double start = system_clock().steady_seconds();
    PairReader reader(options_.files);
    TestPairs pairs;
    for (bool more = true; more;) {
      more = reader.next(pairs);
      const uint64_t first = result.of_files.lines;
      add_pair_loss({bundle_, model_, search_, pool_}, encoder_, options_.files.reference, pairs,
                    result.of_files);
      if (!options_.loss_only) add_bleu(pairs, first);
      progress.advance(static_cast<int64_t>(pairs.sources.size()));
    }
    if (!options_.loss_only) result.bleu = corpus_.score();
    result.seconds = system_clock().steady_seconds() - start;
    return result;
  }

 private:
  runtime::LineEncoderOptions line_options() const {
    return {.max_tokens = model_.config().max_length,
            .on_too_long = runtime::OnTooLong::kError,
            .tag = options_.decoding.tag,
            .warn = [](const std::string& text) { spdlog::warn(text); }};
  }

  void add_bleu(const TestPairs& pairs, uint64_t first) {
    runtime::TranslationTotals totals;
    const auto lines = translator_.translate_lines(pairs.sources, first, pool_, totals);
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string text = lines[i].translations.empty() ? "" : lines[i].translations.front().text;
      corpus_.add(text, std::span(&pairs.references[i], 1));
    }
  }

  const EvaluateOptions& options_;
  const runtime::ModelBundle& bundle_;
  const runtime::Transformer& model_;
  ThreadPool& pool_;
  runtime::BatchedSearch search_;
  runtime::LineEncoder encoder_;
  runtime::Translator translator_;
  std::unique_ptr<metric::Metric> bleu_;
  metric::Corpus corpus_;
};

// The perplexity of a text.
Evaluation evaluate_text(const EvaluateOptions& options, const runtime::ModelBundle& bundle,
                         const runtime::Transformer& model, ThreadPool& pool, Progress& progress) {
  Evaluation result;
  result.experts = config::to_string(model.dispatch());
  const double start = system_clock().steady_seconds();
  result.of_files = text_loss({bundle, model, options.decoding.search, pool}, options.files,
                              options.block_tokens, [&](int64_t lines) { progress.advance(lines); });
  result.seconds = system_clock().steady_seconds() - start;
  return result;
}

// Mean, and variance with n - 1, of one number over the runs.
struct Spread {
  double mean = 0, variance = 0;
};

template <typename Value>
Spread spread(const std::vector<Evaluation>& runs, Value&& value) {
  Spread result;
  const double n = static_cast<double>(runs.size());
  for (const Evaluation& run : runs) result.mean += value(run) / n;
  for (const Evaluation& run : runs)
    result.variance += std::pow(value(run) - result.mean, 2) / std::max(1.0, n - 1);
  return result;
}

double loss_of(const Evaluation& run) {
  return run.of_files.loss.per_token();
}
double bleu_of(const Evaluation& run) {
  return run.bleu.value;
}
double seconds_of(const Evaluation& run) {
  return run.seconds;
}

nlohmann::ordered_json to_json(const EvaluateOptions& options, const std::vector<Evaluation>& runs) {
  nlohmann::ordered_json json = {{"model", options.decoding.model}, {"experts", runs[0].experts}};
  if (options.decoding.gate) json["gate"] = *options.decoding.gate;
  json["lines"] = runs[0].of_files.lines;
  json["tokens"] = runs[0].of_files.loss.tokens;
  const bool of_text = !options.files.text.empty(), has_bytes = runs[0].of_files.bytes > 0;
  if (of_text && has_bytes) {
    if (!runs[0].of_files.of_bytes) json["words"] = runs[0].of_files.words;
    json["bytes"] = runs[0].of_files.bytes;
  } else if (!of_text) {
    json["left_out"] = runs[0].of_files.left_out;
  }
  for (const Evaluation& run : runs) {
    nlohmann::ordered_json one = {{"seed", run.seed},
                                  {"loss", loss_of(run)},
                                  {"perplexity", run.of_files.loss.perplexity()},
                                  {"seconds", run.seconds}};
    if (of_text && !has_bytes) one["bits_per_token"] = run.of_files.loss.bits_per_token();
    if (of_text && has_bytes) {
      if (!run.of_files.of_bytes) one["word_perplexity"] = run.of_files.word_perplexity();
      one["bits_per_byte"] = run.of_files.bits_per_byte();
    }
    if (!options.loss_only) one.update({{"bleu", run.bleu.value}, {"signature", run.bleu.signature}});
    json["runs"].push_back(one);
  }
  const auto add = [&](const char* name, const Spread& s) {
    json[name] = {{"mean", s.mean}, {"variance", s.variance}};
  };
  add("loss", spread(runs, loss_of));
  if (!options.loss_only) add("bleu", spread(runs, bleu_of));
  add("seconds", spread(runs, seconds_of));
  return json;
}

void print(const EvaluateOptions& options, const std::vector<Evaluation>& runs, std::ostream& out) {
  const std::string gate = options.decoding.gate ? fmt::format(", gate {}", *options.decoding.gate) : "";
  for (const Evaluation& run : runs) {
    if (runs.size() > 1) out << fmt::format("seed {}\n", run.seed);
    const bool masked = !options.files.text.empty() && run.of_files.bytes == 0;
    out << fmt::format("loss {:.4f} nats a {}token, perplexity {:.3f} ({} {}tokens, experts: {}{})\n",
                       loss_of(run), masked ? "masked " : "", run.of_files.loss.perplexity(),
                       run.of_files.loss.tokens, masked ? "masked " : "", run.experts, gate);
    if (masked) {
      out << fmt::format("{:.4f} bits a masked token\n", run.of_files.loss.bits_per_token());
    } else if (run.of_files.of_bytes) {
      out << fmt::format("{:.4f} bits a byte ({} bytes)\n", run.of_files.bits_per_byte(), run.of_files.bytes);
    } else if (!options.files.text.empty()) {
      out << fmt::format("perplexity {:.3f} a word ({} words and line ends), {:.4f} bits a byte ({} bytes)\n",
                         run.of_files.word_perplexity(), run.of_files.words, run.of_files.bits_per_byte(),
                         run.of_files.bytes);
    }
    if (!options.loss_only) out << metric::format_score(run.bleu, 2) << "\n";
  }
  if (runs[0].of_files.left_out > 0)
    out << fmt::format("{} pairs with an empty side are left out of the loss\n", runs[0].of_files.left_out);
  if (runs.size() == 1) return;
  const auto line = [&](const char* name, const Spread& s) {
    out << fmt::format("{:8} mean {:.4f}  variance {:.6f}\n", name, s.mean, s.variance);
  };
  out << fmt::format("over {} seeds\n", runs.size());
  line("loss", spread(runs, loss_of));
  if (!options.loss_only) line("BLEU", spread(runs, bleu_of));
  line("seconds", spread(runs, seconds_of));
}

void evaluate(const EvaluateOptions& given, CommandContext& context) {
  EvaluateOptions options = given;
  if (options.seeds < 1) fail_usage("--seeds: wanted at least 1, found {}", options.seeds);
  if (!options.files.labels.path.empty()) {
    if (!options.files.source.empty() || !options.files.reference.empty() || !options.files.text.empty())
      fail_usage("--labels: wanted no --src, --ref or --text beside it");
    return evaluate_labels(options.decoding, options.files, options.seeds, context);
  }
  const runtime::ModelBundle bundle = runtime::open_model(options.decoding.model);
  check_files(options.files, bundle.weights->config);
  if (const double rate = options.files.masking.rate; rate <= 0 || rate >= 1) {
    fail_usage("--mask-rate: wanted a share above 0, below 1, found {}", rate);
  }
  if (!config::is_masked_lm(bundle.weights->config) && options.files.masking != config::MaskingConfig{}) {
    fail_usage("{}: --mask-rate and --whole-words are for a masked_lm, found a {}", options.decoding.model,
               config::enum_name(bundle.weights->config.kind));
  }
  const bool of_text = !options.files.text.empty();
  options.loss_only = options.loss_only || of_text;
  warn_about_tags(bundle, options.decoding);
  ThreadPool pool(thread_count(options.decoding));
  std::vector<Evaluation> runs;
  {
    Progress progress({.label = "evaluate", .unit = "lines"}, context.console);
    for (int64_t i = 0; i < options.seeds; ++i) {
      const auto model = serving_model(bundle, options.decoding, static_cast<uint64_t>(i));
      runs.push_back(of_text ? evaluate_text(options, bundle, model, pool, progress)
                             : Evaluator(options, bundle, model, pool).run(progress));
      runs.back().seed = model.dispatch().seed;
    }
  }
  if (context.json) {
    context.out << to_json(options, runs).dump() << "\n";
  } else {
    print(options, runs, context.out);
  }
}

}  // namespace

void add_evaluate_command(Program& program) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App& command = program.add(
      {.name = "evaluate",
       .summary = "Measure loss, perplexity and BLEU, or accuracy, on a test set",
       .details =
           "The loss is that of the reference's own tokens, the end mark included, each given those before "
           "it. "
           "BLEU is of the model's translations against the reference. --seeds K repeats both with the seeds "
           "S, S + 1 ... of the experts' draws and prints mean and variance (n - 1). With --text the model "
           "is a "
           "language model: loss and perplexity by token and by word, and bits a byte, over blocks of "
           "--block-tokens; options "
           "of the "
           "search are not used then. Of a masked language model the loss is that of the tokens that are "
           "masked, always the same ones of a text. With --labels the model is a classifier: the share of "
           "sentences whose likeliest class is their label, its 95 % interval (Wilson 1927), and the loss of "
           "the labels.",
       .examples = "megin evaluate run --src test.en --ref test.de\n"
                   "megin evaluate run --src test.en --ref test.de --experts token --seeds 20 --json\n"
                   "megin evaluate run --text test.txt\n"
                   "megin evaluate run --labels test.tsv --experts k=8"},
      [options](CommandContext& context) { evaluate(*options, context); });
  add_decoding_options(command, options->decoding);
  command.add_option("--src", options->files.source, "source lines; also .gz or .zst");
  command.add_option("--ref", options->files.reference, "reference lines; also .gz or .zst");
  command.add_option("--text", options->files.text, "text for a language model; also .gz or .zst");
  add_label_options(command, options->files.labels);
  command
      .add_option("--block-tokens", options->block_tokens,
                  "blocks that the text is cut into; 0: as long as the model reads")
      ->capture_default_str();
  command
      .add_option("--mask-rate", options->files.masking.rate,
                  "of a masked language model: share of the tokens that are masked")
      ->capture_default_str();
  command.add_flag("--whole-words", options->files.masking.whole_words,
                   "of a masked language model: mask words, not tokens");
  command.add_option("--seeds", options->seeds, "how many seeds, from --seed on")->capture_default_str();
  command.add_flag("--loss-only", options->loss_only, "no translations and no BLEU");
}

}  // namespace megin::cli
