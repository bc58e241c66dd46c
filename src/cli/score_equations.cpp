#include "cli/score_equations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/text_lines.h"
#include "metric/accuracy.h"
#include "metric/mcnemar.h"
#include "text/tsv_rows.h"

namespace megin::cli {
namespace {

using nlohmann::json;

struct Problem {
  std::vector<double> numbers;
  double answer = 0;
};

class Problems {
 public:
  explicit Problems(const EquationScoring& options)
      : rows_(options.problems, {.columns = {"numbers", "answer"}, .where = options.where}) {}

  bool next(Problem& problem) {
    if (!rows_.next(values_)) return false;
    ++count_;
    problem.numbers.clear();
    std::string_view rest = values_[0];
    while (!rest.empty()) {
      const std::string_view number = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(number.size() + 1, rest.size()));
      if (!number.empty()) problem.numbers.push_back(decimal(number, "numbers"));
    }
    problem.answer = decimal(values_[1], "answer");
    return true;
  }

  uint64_t count() const { return count_; }
  std::string name() const { return rows_.path().string(); }

 private:
  double decimal(std::string_view text, std::string_view column) const {
    const std::optional<double> value = metric::parse_decimal(text);
    if (!value) {
      fail("{}: wanted a decimal number in the column {}, found '{}'; correct the table", rows_.where(),
           column, text);
    }
    return *value;
  }

  text::TsvRows rows_;
  std::vector<std::string_view> values_;
  uint64_t count_ = 0;
};

// What a system made of the problems.
struct System {
  metric::Accuracy solved;
  uint64_t without_value = 0;
};

struct Judged {
  std::optional<double> value;
  bool solved = false;
};

Judged judge(const std::string& equation, const Problem& problem, double tolerance, System& system) {
  const std::optional<double> value = metric::evaluate_prefix(equation, problem.numbers);
  const bool solved = value && std::abs(*value - problem.answer) <= tolerance;
  system.solved += {.right = solved ? uint64_t{1} : 0, .all = 1};
  system.without_value += value ? 0 : 1;
  return {value, solved};
}

std::string as_line(const Judged& judged, double answer, bool as_json) {
  if (as_json) {
    json object = {{"solved", judged.solved}, {"value", nullptr}, {"answer", answer}};
    if (judged.value) object["value"] = *judged.value;
    return object.dump() + "\n";
  }
  return fmt::format("{}\t{}\t{}\n", judged.solved ? 1 : 0,
                     judged.value ? fmt::format("{}", *judged.value) : "none", answer);
}

[[noreturn]] void fail_about_counts(TextLines& lines, Problems& problems) {
  std::string line;
  while (lines.next(line)) {
  }
  Problem problem;
  while (problems.next(problem)) {
  }
  fail(
      "wanted an equation for each problem, found {} lines in {} and {} problems in {}; check the files and "
      "--where",
      lines.lines(), lines.name(), problems.count(), problems.name());
}

json to_json(const System& system) {
  const metric::Interval interval = system.solved.wilson();
  return {{"score", 100 * system.solved.share()}, {"solved", system.solved.right},
          {"total", system.solved.all},           {"low", 100 * interval.low},
          {"high", 100 * interval.high},          {"without_value", system.without_value}};
}

std::string as_text(const System& system, int width) {
  const metric::Interval interval = system.solved.wilson();
  return fmt::format("{:.{}f} % ({} of {}; 95 % interval {:.{}f} to {:.{}f}; {} without a value)",
                     100 * system.solved.share(), width, system.solved.right, system.solved.all,
                     100 * interval.low, width, 100 * interval.high, width, system.without_value);
}

}  // namespace

void score_equations(const EquationScoring& options, CommandContext& context) {
  const bool paired = !options.versus.empty();
  if (options.hypothesis == "-" && options.versus == "-")
    fail_usage("only one of the files can be standard input (-), found 2");
  TextLines lines(options.hypothesis, context.in);
  std::optional<TextLines> other_lines;
  if (paired) other_lines.emplace(options.versus, context.in);
  Problems problems(options);
  System system, other;
  uint64_t only_first = 0, only_second = 0;
  std::string judgements;
  Problem problem;
  for (std::string equation; problems.next(problem);) {
    if (!lines.next(equation)) fail_about_counts(lines, problems);
    const Judged judged = judge(equation, problem, options.tolerance, system);
    if (options.per_line) judgements += as_line(judged, problem.answer, context.json);
    if (!paired) continue;
    if (!other_lines->next(equation)) fail_about_counts(*other_lines, problems);
    const bool others = judge(equation, problem, options.tolerance, other).solved;
    only_first += judged.solved && !others ? 1 : 0;
    only_second += others && !judged.solved ? 1 : 0;
  }
  std::string rest;
  if (lines.next(rest)) fail_about_counts(lines, problems);
  if (paired && other_lines->next(rest)) fail_about_counts(*other_lines, problems);
  if (problems.count() == 0) fail("{}: wanted problems to score, found none", problems.name());
  if (options.per_line) {
    context.out << judgements;
    return;
  }
  const double p_value = metric::exact_mcnemar(only_first, only_second);
  if (context.json) {
    json object = to_json(system);
    object["metric"] = "solved";
    object["tolerance"] = options.tolerance;
    if (paired) {
      object["versus"] = to_json(other);
      object["only_first"] = only_first;
      object["only_second"] = only_second;
      object["p_value"] = p_value;
    }
    context.out << object.dump() << '\n';
  } else if (paired) {
    context.out << fmt::format(
        "solved\n  {}: {}\n  {}: {}\nonly the first {}, only the second {} (p = {:.4f}){}\n",
        options.hypothesis, as_text(system, options.width), options.versus, as_text(other, options.width),
        only_first, only_second, p_value, p_value < 0.05 ? "*" : "");
  } else {
    context.out << "solved = " << as_text(system, options.width) << '\n';
  }
}

}  // namespace megin::cli
