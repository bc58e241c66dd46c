#include "cli/seed_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "report/run_names.h"
#include "report/spread.h"
#include "report/violin_chart.h"

namespace megin::cli {
namespace {

using nlohmann::json;

[[noreturn]] void fail_wrong(const std::string& file, const std::string& key, const char* found) {
  fail("{}: wanted the output of `megin evaluate --seeds K --json` with '{}' in its runs, found {}", file,
       key, found);
}

json read_runs_of(const std::string& file, const std::string& key) {
  const json evaluated = json::parse(read_file(file), nullptr, false);
  if (!evaluated.is_object() || !evaluated.contains("runs") || !evaluated["runs"].is_array()) {
    fail_wrong(file, key, "something else");
  }
  return evaluated["runs"];
}

bool has_number(const json& run, const std::string& key) {
  return run.is_object() && run.contains(key) && run[key].is_number();
}

}  // namespace

std::vector<SeedResults> read_seed_results(const std::vector<std::string>& files, const std::string& key) {
  std::vector<SeedResults> all;
  std::vector<std::filesystem::path> paths;
  for (const std::string& file : files) paths.push_back(std::filesystem::path(file).replace_extension());
  const std::vector<std::string> names = report::run_names(paths);
  for (const std::string& file : files) {
    SeedResults of{.name = names[all.size()], .values = {}};
    const json runs = read_runs_of(file, key);
    for (const json& run : runs) {
      if (!has_number(run, key)) fail_wrong(file, key, "a run without it");
      of.values.push_back(run[key].get<double>());
    }
    if (of.values.empty()) fail_wrong(file, key, "no run");
    all.push_back(std::move(of));
  }
  return all;
}

std::string usual_seed_key(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const json runs = read_runs_of(file, "bleu");
    for (const json& run : runs) {
      if (!has_number(run, "bleu")) return "loss";
    }
  }
  return "bleu";
}

std::string seed_key_label(const std::string& key) {
  return key == "bleu" ? "BLEU" : "loss, nats a token";
}

std::string seed_violins_svg(const std::vector<SeedResults>& files, const std::string& key) {
  report::ViolinChart chart{.title = "Spread over seeds",
                            .subtitle = "each dot is the test set with experts drawn from one seed",
                            .y_label = seed_key_label(key),
                            .violins = {}};
  for (const SeedResults& of : files) chart.violins.push_back({of.name, of.values});
  return report::violin_chart_svg(chart);
}

std::vector<report::Column> seed_table_columns() {
  using report::Align;
  return {{"group"},
          {"seeds", Align::kRight},
          {"mean", Align::kRight},
          {"variance", Align::kRight},
          {"least", Align::kRight},
          {"most", Align::kRight}};
}

std::vector<std::vector<std::string>> seed_table_rows(const std::vector<SeedResults>& files) {
  std::vector<std::vector<std::string>> rows;
  for (const SeedResults& of : files) {
    const report::Spread spread = report::spread_of(of.values);
    const auto [least, most] = std::ranges::minmax(of.values);
    rows.push_back({of.name, std::to_string(of.values.size()), fmt::format("{:.3f}", spread.mean),
                    fmt::format("{:.6f}", spread.variance), fmt::format("{:.3f}", least),
                    fmt::format("{:.3f}", most)});
  }
  return rows;
}

nlohmann::ordered_json seed_results_json(const std::vector<SeedResults>& files, const std::string& key) {
  nlohmann::ordered_json result = {{"key", key}, {"groups", nlohmann::ordered_json::array()}};
  for (const SeedResults& of : files) {
    const report::Spread spread = report::spread_of(of.values);
    const auto [least, most] = std::ranges::minmax(of.values);
    result["groups"].push_back({{"group", of.name},
                                {"seeds", of.values.size()},
                                {"mean", spread.mean},
                                {"variance", spread.variance},
                                {"least", least},
                                {"most", most}});
  }
  return result;
}

}  // namespace megin::cli
