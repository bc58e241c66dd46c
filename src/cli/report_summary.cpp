#include "cli/report_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "report/spread.h"

namespace megin::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using report::Align;

// How the latest session ended; null while it runs, or when it was killed.
const json* latest_end(const ReportedRun& run) {
  const json* end = nullptr;
  for (const json& line : run.log.lines()) {
    const std::string event = line.value("event", "");
    if (event == "start") end = nullptr;
    if (event == "end") end = &line;
  }
  return end;
}

// Over the whole training: its intervals have the same number of updates, but for the last.
void add_speed(const ReportedRun& run, ordered_json& of) {
  double tokens = 0, seconds = 0, memory = 0;
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") != "update") continue;
    memory = std::max(memory, line.value("peak_resident_mib", 0.0));
    const double rate = line.value("target_tokens_per_second", 0.0);
    if (rate <= 0) continue;
    const double count = line.value("target_tokens_per_update", 1.0);
    tokens += count;
    seconds += count / rate;
  }
  if (seconds > 0) of["target_tokens_per_second"] = tokens / seconds;
  if (memory > 0) of["peak_resident_mib"] = memory;
}

// The validation that the run itself counts as its best.
const json* best_validation(const ReportedRun& run) {
  const std::string by = setting_of(run, "train.validation.best_by");
  const std::string key = by == "accuracy" ? "accuracy" : "bleu";
  const json* best = nullptr;
  const auto merit = [&](const json& line) {
    return by != "loss" && line.contains(key) ? line.at(key).get<double>() : -line.value("loss", 0.0);
  };
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") != "validation") continue;
    if (best == nullptr || merit(line) > merit(*best)) best = &line;
  }
  return best;
}

// A column of the table: a number of run_summary(), or of its "best".
struct SummaryColumn {
  const char* heading;
  const char* key;
  bool of_best = false;
  int decimals = 0;
  double unit = 1;
  Align align = Align::kRight;
};

// A language model has no BLEU, nor has a classifier; without one on the page the table is that of
// translation.
std::vector<SummaryColumn> columns_for(const std::vector<RunGroup>& groups) {
  bool perplexity = false, word_perplexity = false, bits = false, token_bits = false, bleu = false,
       accuracy = false;
  for (const RunGroup& group : groups) {
    for (const ReportedRun* run : group.runs) {
      perplexity = perplexity || is_without_bleu(*run);
      word_perplexity = word_perplexity || last_line(*run, "validation", "word_perplexity") != nullptr;
      bits = bits || last_line(*run, "validation", "bits_per_byte") != nullptr;
      token_bits = token_bits || last_line(*run, "validation", "bits_per_token") != nullptr;
      bleu = bleu || last_line(*run, "validation", "bleu") != nullptr;
      accuracy = accuracy || last_line(*run, "validation", "accuracy") != nullptr;
    }
  }
  std::vector<SummaryColumn> columns = {
      {.heading = "method", .key = "method", .align = Align::kLeft},
      {.heading = "experts", .key = "experts"},
      {.heading = "seed", .key = "seed"},
      {.heading = "updates", .key = "updates"},
      {.heading = "best valid. loss", .key = "loss", .of_best = true, .decimals = 3}};
  if (perplexity) {
    columns.push_back({.heading = "perplexity", .key = "perplexity", .of_best = true, .decimals = 2});
  }
  if (word_perplexity) {
    columns.push_back(
        {.heading = "word perplexity", .key = "word_perplexity", .of_best = true, .decimals = 2});
  }
  if (bits) {
    columns.push_back({.heading = "bits a byte", .key = "bits_per_byte", .of_best = true, .decimals = 3});
  }
  if (token_bits) {
    columns.push_back(
        {.heading = "bits a masked token", .key = "bits_per_token", .of_best = true, .decimals = 3});
  }
  if (accuracy) {
    columns.push_back(
        {.heading = "accuracy, %", .key = "accuracy", .of_best = true, .decimals = 2, .unit = 0.01});
  }
  if (bleu || (!perplexity && !accuracy)) {
    columns.push_back({.heading = "BLEU", .key = "bleu", .of_best = true, .decimals = 2});
  }
  const std::vector<SummaryColumn> costs = {{.heading = "at update", .key = "update", .of_best = true},
                                            {.heading = "TFLOP", .key = "flops", .decimals = 1, .unit = 1e12},
                                            {.heading = "minutes", .key = "minutes", .decimals = 1},
                                            {.heading = "CPU minutes", .key = "cpu_minutes", .decimals = 1},
                                            {.heading = "target tokens/s", .key = "target_tokens_per_second"},
                                            {.heading = "peak MiB", .key = "peak_resident_mib"}};
  columns.insert(columns.end(), costs.begin(), costs.end());
  return columns;
}

// Null where the run has no such number.
const ordered_json* value_of(const ordered_json& summary, const SummaryColumn& column) {
  const ordered_json* of = &summary;
  if (column.of_best) {
    if (!summary.contains("best")) return nullptr;
    of = &summary.at("best");
  }
  return of->contains(column.key) ? &of->at(column.key) : nullptr;
}

// The words, each once.
std::string joined(const std::vector<std::string>& words) {
  std::vector<std::string> once;
  for (const std::string& word : words) {
    if (std::ranges::find(once, word) == once.end()) once.push_back(word);
  }
  return fmt::format("{}", fmt::join(once, ", "));
}

// A number that all runs have: that of one run, or mean ± standard deviation; whole numbers that are all
// alike stand by themselves.
std::string cell(const std::vector<ordered_json>& runs, const SummaryColumn& column) {
  std::vector<double> numbers;
  std::vector<std::string> words;
  for (const ordered_json& run : runs) {
    const ordered_json* value = value_of(run, column);
    if (value == nullptr) return "";
    if (value->is_string()) {
      words.push_back(value->get<std::string>());
    } else {
      numbers.push_back(value->get<double>() / column.unit);
    }
  }
  if (std::string_view(column.key) == "seed" && runs.size() > 1) return fmt::format("{} seeds", runs.size());
  if (numbers.empty()) return joined(words);
  const report::Spread spread = report::spread_of(numbers);
  const std::string mean = fmt::format("{:.{}f}", spread.mean, column.decimals);
  if (runs.size() == 1 || (column.decimals == 0 && spread.variance == 0)) return mean;
  return fmt::format("{} ± {:.{}f}", mean, spread.deviation(), column.decimals);
}

std::string ended_by(const std::vector<ordered_json>& runs) {
  std::vector<std::string> reasons;
  for (const ordered_json& run : runs) {
    reasons.push_back(run.contains("ended_by") ? run.at("ended_by").get<std::string>()
                                               : "still running, or killed");
  }
  return joined(reasons);
}

std::vector<ordered_json> summaries_of(const RunGroup& group) {
  std::vector<ordered_json> summaries;
  for (const ReportedRun* run : group.runs) summaries.push_back(run_summary(*run));
  return summaries;
}

// Mean and deviation of each number that all of these objects have, and of those inside them.
ordered_json spreads(const std::vector<ordered_json>& objects) {
  ordered_json result = ordered_json::object();
  for (const auto& [key, value] : objects.front().items()) {
    std::vector<ordered_json> parts;
    std::vector<double> numbers;
    for (const ordered_json& object : objects) {
      if (!object.contains(key)) continue;
      const ordered_json& found = object.at(key);
      if (found.is_object()) parts.push_back(found);
      if (found.is_number()) numbers.push_back(found.get<double>());
    }
    if (parts.size() == objects.size()) result[key] = spreads(parts);
    if (numbers.size() < objects.size()) continue;
    const report::Spread spread = report::spread_of(numbers);
    result[key] = {{"mean", spread.mean}, {"deviation", spread.deviation()}};
  }
  return result;
}

}  // namespace

ordered_json run_summary(const ReportedRun& run) {
  ordered_json of = {{"run", run.name}};
  const auto setting = [&](const char* name, const char* key) {
    if (run.settings.contains(key)) of[name] = run.settings.at(key);
  };
  setting("method", "train.method");
  setting("experts", "model.experts.count");
  setting("seed", "train.seed");
  if (const json* update = last_line(run, "update", "update")) of["updates"] = update->at("update");
  add_speed(run, of);
  for (const char* key : {"minutes", "cpu_minutes", "flops"}) {
    if (const json* line = last_line(run, "update", key)) of[key] = line->at(key);
  }
  if (const json* end = latest_end(run)) of["ended_by"] = end->value("reason", "");
  if (const json* best = best_validation(run)) {
    of["best"] = {{"update", best->at("update")}, {"loss", best->value("loss", 0.0)}};
    for (const char* key : {"perplexity", "word_perplexity", "bits_per_byte", "bits_per_token", "accuracy",
                            "bleu", "signature"}) {
      if (best->contains(key)) of["best"][key] = best->at(key);
    }
  }
  return of;
}

ordered_json group_summary(const RunGroup& group) {
  ordered_json of = {{"group", group.name}, {"seeds", group.runs.size()}, {"runs", ordered_json::array()}};
  for (const ReportedRun* run : group.runs) of["runs"].push_back(run->name);
  of.update(spreads(summaries_of(group)));
  return of;
}

void add_summary_table(report::HtmlPage& page, const std::vector<RunGroup>& groups) {
  const std::vector<SummaryColumn> shown = columns_for(groups);
  std::vector<report::Column> columns = {{"run"}};
  for (const SummaryColumn& column : shown) columns.push_back({column.heading, column.align});
  columns.push_back({"ended by"});
  std::vector<std::vector<std::string>> rows;
  for (const RunGroup& group : groups) {
    const std::vector<ordered_json> runs = summaries_of(group);
    std::vector<std::string>& row = rows.emplace_back();
    row.push_back(group.name);
    for (const SummaryColumn& column : shown) row.push_back(cell(runs, column));
    row.push_back(ended_by(runs));
  }
  page.table(columns, rows);
  if (std::ranges::any_of(groups, &RunGroup::of_seeds)) {
    page.paragraph(
        "Runs whose settings differ only in the seed stand together: mean ± standard deviation (n - 1) of "
        "what each of them has. Their curves are the mean at each update that all of them have reached.");
  }
}

}  // namespace megin::cli
