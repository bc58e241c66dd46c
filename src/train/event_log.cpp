#include "train/event_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/processors.h"
#include "store/tensor_names.h"

namespace megin::train {
namespace {

constexpr double kMebibyte = 1024.0 * 1024.0;

bool stands(const nlohmann::json& line, const ProgressRecord& progress) {
  if (!line.is_object() || !line.contains("update") || !line["update"].is_number()) return false;
  const auto update = line["update"].get<int64_t>();
  const std::string event = line.value("event", "");
  // A checkpoint may have been made before the validation of its update, which is then done again.
  if (event == "validation") return update <= progress.last_validation;
  const bool open = progress.interval.updates > 0 && (event == "update" || event == "routing");
  return open ? update < progress.update : update <= progress.update;
}

void add_cost(nlohmann::json& line, const TrainingCost& cost) {
  line["minutes"] = cost.seconds / 60;
  line["cpu_minutes"] = cost.cpu_seconds / 60;
  line["flops"] = cost.flops;
}

void add_active(nlohmann::json& line, const std::vector<double>& active) {
  if (active.empty()) return;
  const auto layers = static_cast<double>(active.size());
  line["active_experts"] = std::accumulate(active.begin(), active.end(), 0.0) / layers;
  if (active.size() == 1) return;
  for (size_t i = 0; i < active.size(); ++i) line[fmt::format("active_experts_{}", i)] = active[i];
}

std::string standing_lines(const std::filesystem::path& file, const ProgressRecord& progress) {
  std::string kept;
  if (progress.update == 0 || !std::filesystem::exists(file)) return kept;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    if (stands(nlohmann::json::parse(line, nullptr, false), progress)) kept += line + "\n";
  }
  return kept;
}

}  // namespace

EventLog::EventLog(const std::filesystem::path& run, const ProgressRecord& progress)
    : file_(run / "log.jsonl"), events_(run / "events", progress.update + 1) {
  write_file_atomically(file_, standing_lines(file_, progress));
  out_.open(file_, std::ios::app);
}

void EventLog::write(const nlohmann::json& line) {
  out_ << line.dump() << "\n" << std::flush;
  if (!out_) fail("{}: cannot write the log; is the disk full?", file_.string());
}

void EventLog::scalars(int64_t update, const nlohmann::json& line, std::string_view group) {
  for (const auto& [key, value] : line.items()) {
    if (value.is_number() && key != "update") {
      events_.scalar(fmt::format("{}/{}", group, key), update, value.get<double>());
    }
  }
}

void EventLog::started(const nlohmann::json& facts) {
  nlohmann::json line = facts;
  line["event"] = "start";
  write(line);
}

void EventLog::updated(const ProgressRecord& progress, const ChangingNumbers& numbers) {
  const Interval& interval = progress.interval;
  const UpdateReport& sums = interval.sums;
  const double tokens = static_cast<double>(std::max<int64_t>(1, sums.target_tokens));
  const double predictions = static_cast<double>(std::max<int64_t>(1, sums.predictions));
  const ProcessUsage usage = process_usage();
  nlohmann::json line = {{"event", "update"},
                         {"update", progress.update},
                         {"epoch", progress.position.epoch},
                         {"loss", sums.cross_entropy[0] / predictions},
                         {"nll", sums.nll[0] / predictions},
                         {"learning_rate", sums.learning_rate},
                         {"gradient_norm", sums.gradient_norm},
                         {"target_tokens_per_second", tokens / interval.seconds},
                         {"cpu_seconds_per_1000_target_tokens", 1000 * interval.cpu_seconds / tokens},
                         {"updates_per_second", static_cast<double>(interval.updates) / interval.seconds},
                         {"target_tokens_per_update", tokens / static_cast<double>(interval.updates)},
                         {"resident_mib", static_cast<double>(usage.resident_bytes) / kMebibyte},
                         {"peak_resident_mib", static_cast<double>(usage.peak_resident_bytes) / kMebibyte}};
  // A classifier, which predicts once a sentence, has none.
  if (sums.predictions > sums.sentences) line["perplexity"] = std::exp(sums.nll[0] / predictions);
  if (sums.cross_entropy[1] > 0) {
    line["loss_second"] = sums.cross_entropy[1] / predictions;
    line["nll_second"] = sums.nll[1] / predictions;
    line["consistency"] = sums.consistency / predictions;
  }
  if (sums.distillation > 0) line["distillation"] = sums.distillation / predictions;
  for (const auto& [layer, rate] : numbers.dropout_rates) line["dropout_rate_" + layer] = rate;
  add_active(line, numbers.active_experts);
  add_cost(line, progress.cost);
  write(line);
  scalars(progress.update, line, "train");
  for (const RoutingReport& report : sums.routing) routed(progress.update, report);
}

void EventLog::routed(int64_t update, const RoutingReport& report) {
  const routing::RouteStatistics& found = report.statistics;
  const auto routed = static_cast<double>(std::max<int64_t>(1, found.routed));
  double choices = 0;
  for (const int64_t load : found.load) choices += static_cast<double>(load);
  const auto [least, most] = std::ranges::minmax(found.load);
  const double fair = std::max(1.0, choices) / static_cast<double>(found.load.size());
  const std::string stack = report.mixture ? "mixture" : store::stack_name(report.stack);
  nlohmann::json line = {{"event", "routing"},
                         {"update", update},
                         {"stack", stack},
                         {"layer", report.layer},
                         {"dropped", static_cast<double>(found.dropped) / std::max(1.0, choices)},
                         {"highest_load", static_cast<double>(most) / fair},
                         {"lowest_load", static_cast<double>(least) / fair},
                         {"unused_experts", std::ranges::count(found.load, 0)}};
  if (found.confidence > 0) {
    line["confidence"] = found.confidence / routed;
    line["entropy"] = found.entropy / routed;
  }
  if (report.balance != 0) line["balance"] = report.balance / routed;
  if (report.z > 0) line["z_loss"] = report.z / routed;
  if (report.distillation > 0) line["distillation"] = report.distillation / routed;
  for (size_t e = 0; e < found.load.size(); ++e) {
    line[fmt::format("load_{}", e)] = static_cast<double>(found.load[e]) / std::max(1.0, choices);
    if (e >= found.confidences.size() || found.load[e] == 0) continue;
    line[fmt::format("confidence_{}", e)] = found.confidences[e] / static_cast<double>(found.load[e]);
  }
  write(line);
  line.erase("layer");
  scalars(update, line, fmt::format("routing_{}_{}", stack, report.layer));
}

void EventLog::validated(const ProgressRecord& progress, const ValidationResult& result) {
  nlohmann::json line = {{"event", "validation"},
                         {"update", progress.update},
                         {"loss", result.loss},
                         {"experts", result.routing},
                         {"seconds", result.seconds}};
  if (result.accuracy) {
    line["accuracy"] = result.accuracy->share();
    line["sentences"] = result.accuracy->all;
  } else {
    line["perplexity"] = std::exp(result.loss);
  }
  add_cost(line, progress.cost);
  if (result.word_perplexity) line["word_perplexity"] = *result.word_perplexity;
  if (result.bits_per_token) line["bits_per_token"] = *result.bits_per_token;
  if (result.bits_per_byte) line["bits_per_byte"] = *result.bits_per_byte;
  if (result.bleu) {
    line["bleu"] = *result.bleu;
    line["signature"] = result.signature;
    line["search"] = result.search;
    line["sentences"] = result.sentences;
  }
  write(line);
  scalars(progress.update, line, "valid");
}

void EventLog::ended(int64_t update, const nlohmann::json& facts) {
  nlohmann::json line = facts;
  line["event"] = "end";
  line["update"] = update;
  write(line);
}

}  // namespace megin::train
