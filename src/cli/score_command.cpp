// megin score: translations against references, equations against answers.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/score_equations.h"
#include "cli/text_lines.h"
#include "metric/bootstrap.h"
#include "metric/corpus.h"

namespace megin::cli {
namespace {

using nlohmann::json;

struct ScoreOptions {
  std::string hypothesis, versus;
  std::vector<std::string> references;
  std::vector<std::string> metrics = {"bleu"};
  std::string tokenize = "13a";
  std::string smooth = "exp";
  metric::MetricOptions metric;
  metric::BootstrapOptions bootstrap;
  int width = 1;
  EquationScoring equations;  // where its problems are given
};

// Reads the files side by side and gives each line to `use`: the translation, the other system's if there is
// one, the references.
class SideBySide {
 public:
  SideBySide(const ScoreOptions& options, std::istream& standard_input)
      : two_systems_(!options.versus.empty()) {
    files_.emplace_back(options.hypothesis, standard_input);
    if (two_systems_) files_.emplace_back(options.versus, standard_input);
    for (const std::string& reference : options.references) files_.emplace_back(reference, standard_input);
    const auto from_standard_input =
        std::count_if(files_.begin(), files_.end(), std::mem_fn(&TextLines::is_standard_input));
    if (from_standard_input > 1)
      fail_usage("only one of the files can be standard input (-), found {}", from_standard_input);
  }

  // False at the end of all files. Throws Error when one of them ends before the others.
  bool next() {
    lines_.resize(files_.size());
    size_t ended = 0;
    for (size_t i = 0; i < files_.size(); ++i) ended += files_[i].next(lines_[i]) ? 0 : 1;
    if (ended == 0) return true;
    if (ended < files_.size()) fail_about_counts();
    if (files_[0].lines() == 0) fail("{}: wanted lines to score, found an empty file", files_[0].name());
    return false;
  }

  const std::string& hypothesis() const { return lines_[0]; }
  const std::string& other() const { return lines_[1]; }
  std::span<const std::string> references() const { return std::span(lines_).subspan(two_systems_ ? 2 : 1); }

 private:
  [[noreturn]] void fail_about_counts() {
    std::string ignored;
    for (TextLines& file : files_) {
      while (file.next(ignored)) {
      }
    }
    const auto different = std::find_if(files_.begin(), files_.end(), [&](const TextLines& file) {
      return file.lines() != files_[0].lines();
    });
    fail("wanted as many lines in every file, found {} in {} and {} in {}; is the translation cut short?",
         files_[0].lines(), files_[0].name(), different->lines(), different->name());
  }

  bool two_systems_;
  std::vector<TextLines> files_;
  std::vector<std::string> lines_;
};

// One metric and what it has seen of both systems.
struct Scoring {
  Scoring(const std::string& name, const metric::MetricOptions& options, metric::Corpus::Keep keep)
      : metric(metric::make_metric(name, options)), corpus(*metric, keep), versus(*metric, keep) {}

  std::unique_ptr<metric::Metric> metric;
  metric::Corpus corpus, versus;
};

std::vector<Scoring> score_files(const ScoreOptions& options, CommandContext& context) {
  metric::MetricOptions metric_options = options.metric;
  metric_options.tokenization = metric::tokenization_named(options.tokenize);
  metric_options.smoothing = metric::smoothing_named(options.smooth);
  const bool paired = !options.versus.empty();
  std::vector<Scoring> scorings;
  for (const std::string& name : options.metrics) {
    scorings.emplace_back(name, metric_options,
                          paired ? metric::Corpus::Keep::kSegments : metric::Corpus::Keep::kTotals);
  }
  SideBySide lines(options, context.in);
  Progress progress({.label = "score", .unit = "lines"}, context.console);
  while (lines.next()) {
    progress.advance();
    for (Scoring& scoring : scorings) {
      scoring.corpus.add(lines.hypothesis(), lines.references());
      if (paired) scoring.versus.add(lines.other(), lines.references());
    }
  }
  return scorings;
}

json to_json(const metric::Score& score) {
  json object = {{"metric", score.name}, {"score", score.value}, {"signature", score.signature}};
  if (!score.verbose.empty()) object["verbose"] = score.verbose;
  return object;
}

json to_json(const metric::PairedTest& test) {
  json object = to_json(test.baseline.score);
  object["mean"] = test.baseline.mean;
  object["half_width"] = test.baseline.half_width;
  object["versus"] = {
      {"score", test.system.score.value}, {"mean", test.system.mean}, {"half_width", test.system.half_width}};
  object["p_value"] = test.p_value;
  return object;
}

// The first metric's numbers at the top, so that a caller who wants one score need not look further.
std::string as_json(const std::vector<json>& scores) {
  json object = scores.front();
  object["scores"] = scores;
  return object.dump() + "\n";
}

std::string as_text(const metric::PairedTest& test, const ScoreOptions& options) {
  const auto row = [&](const std::string& name, const metric::Resampled& system) {
    return fmt::format("  {}: {:.{}f} (μ = {:.{}f} ± {:.{}f})", name, system.score.value, options.width,
                       system.mean, options.width, system.half_width, options.width);
  };
  return fmt::format("{}|{}\n{}\n{} (p = {:.4f}){}\n", test.baseline.score.name,
                     test.baseline.score.signature, row(options.hypothesis, test.baseline),
                     row(options.versus, test.system), test.p_value, test.p_value < 0.05 ? "*" : "");
}

void score_translations(const ScoreOptions& options, CommandContext& context) {
  std::vector<json> objects;
  std::string text;
  for (const Scoring& scoring : score_files(options, context)) {
    if (options.versus.empty()) {
      const metric::Score result = scoring.corpus.score();
      objects.push_back(to_json(result));
      text += metric::format_score(result, options.width) + "\n";
    } else {
      const metric::PairedTest test =
          metric::paired_bootstrap(scoring.corpus, scoring.versus, options.bootstrap);
      objects.push_back(to_json(test));
      text += as_text(test, options);
    }
  }
  context.out << (context.json ? as_json(objects) : text);
}

void score(const ScoreOptions& options, CommandContext& context) {
  const bool of_equations = !options.equations.problems.empty();
  if (of_equations == !options.references.empty()) {
    fail_usage("megin score: wanted --ref FILE for translations or --equations FILE for equations, found {}",
               of_equations ? "both" : "neither");
  }
  if (!of_equations) {
    score_translations(options, context);
    return;
  }
  EquationScoring equations = options.equations;
  equations.hypothesis = options.hypothesis;
  equations.versus = options.versus;
  equations.width = options.width;
  score_equations(equations, context);
}

void add_equation_options(CLI::App& command, EquationScoring& options) {
  CLI::Option* problems =
      command
          .add_option("--equations", options.problems,
                      "instead of --ref: a TSV of word problems, with the columns numbers and "
                      "answer; HYP has a prefix equation a line")
          ->type_name("FILE");
  for (const char* other : {"--ref", "--metric", "--tokenize", "--lowercase", "--smooth", "--smooth-value",
                            "--bootstrap-samples", "--seed"}) {
    problems->excludes(command.get_option(other));
  }
  command.add_option("--where", options.where, "rows of that TSV, as \"fold = 0\"; all if not given")
      ->needs(problems)
      ->type_name("CONDITION");
  command.add_option("--tolerance", options.tolerance, "how far a value may be from the answer")
      ->needs(problems)
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("X")
      ->capture_default_str();
  command
      .add_flag("--per-line", options.per_line,
                "for each problem: 1 if it is solved or 0, the equation's value, the answer")
      ->needs(problems)
      ->excludes(command.get_option("--vs"));
}

}  // namespace

void add_score_command(Program& program) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App& command = program.add(
      {.name = "score",
       .summary = "Score a translation: BLEU, chrF, chrF++, TER; or equations: problems solved",
       .details =
           fmt::format("Values, signatures and their form are those of sacreBLEU {}. Files are plain "
                       "text, .gz or .zst, one segment a "
                       "line. --tokenize none --smooth none gives multi-bleu.perl's number. --vs adds "
                       "the paired bootstrap "
                       "(Koehn 2004): mean and 95 % interval of both systems, and p, how probable so "
                       "large a difference is if the "
                       "systems do not differ (* below 0.05). --json has the unrounded scores.\n"
                       "--equations counts the word problems that prefix equations (+ number0 * 2.0 "
                       "number1) solve: a value within --tolerance of the answer. Tokens left over, operands "
                       "missing and divisions by zero are wrong. The interval is Wilson's; --vs adds "
                       "McNemar's exact test.",
                       metric::kSacrebleuVersion),
       .examples = "megin score output.de --ref reference.de\n"
                   "megin score output.de --ref a.de --ref b.de --metric bleu,chrf,ter --width 2\n"
                   "megin translate run/model < source.en | megin score - --ref reference.de --json\n"
                   "megin score new.de --vs old.de --ref reference.de\n"
                   "megin score hypotheses --equations mawps.tsv --where \"fold = 0\""},
      [options](CommandContext& context) { score(*options, context); });
  command.add_option("HYP", options->hypothesis, "translations; - is standard input")
      ->required()
      ->type_name("");
  command.add_option("--ref", options->references, "references; again for a further set of them")
      ->allow_extra_args(false)
      ->type_name("FILE");
  command.add_option("--metric", options->metrics, "bleu, chrf, chrf++, ter; several with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAMES")
      ->capture_default_str();
  command.add_option("--tokenize", options->tokenize, "of BLEU: 13a, none, intl, char")
      ->type_name("NAME")
      ->capture_default_str();
  command.add_flag("--lowercase", options->metric.lowercase, "BLEU and chrF ignore case (TER always does)");
  command.add_option("--smooth", options->smooth, "of BLEU: exp, floor, add-k, none")
      ->type_name("NAME")
      ->capture_default_str();
  command.add_option("--smooth-value", options->metric.smoothing_value, "for floor (0.1) and add-k (1)")
      ->type_name("X");
  command.add_option("--width", options->width, "decimals of printed scores")
      ->check(CLI::Range(0, 15).description(""))
      ->type_name("N")
      ->capture_default_str();
  CLI::Option* versus =
      command.add_option("--vs", options->versus, "another system's translations, to compare with")
          ->type_name("FILE");
  command.add_option("--bootstrap-samples", options->bootstrap.samples, "resampled corpora")
      ->needs(versus)
      ->check(CLI::Range(size_t{1}, size_t{1'000'000}).description(""))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--seed", options->bootstrap.seed, "of the resampling")
      ->needs(versus)
      ->type_name("N")
      ->capture_default_str();
  add_equation_options(command, options->equations);
}

}  // namespace megin::cli
