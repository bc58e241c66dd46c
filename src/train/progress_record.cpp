#include "train/progress_record.h"

#include "base/error.h"

namespace megin::train {
namespace {

nlohmann::json to_json(const RoutingReport& report) {
  return {{"mixture", report.mixture},
          {"stack", static_cast<int64_t>(report.stack)},
          {"layer", report.layer},
          {"load", report.statistics.load},
          {"routed", report.statistics.routed},
          {"dropped", report.statistics.dropped},
          {"confidence", report.statistics.confidence},
          {"confidences", report.statistics.confidences},
          {"entropy", report.statistics.entropy},
          {"balance", report.balance},
          {"z", report.z},
          {"distillation", report.distillation}};
}

RoutingReport routing_from_json(const nlohmann::json& json) {
  RoutingReport report{.mixture = json.value("mixture", false),  // both from megin 0.2 on
                       .stack = static_cast<config::Stack>(json.at("stack").get<int64_t>())};
  report.statistics.confidences = json.value("confidences", std::vector<double>());
  json.at("layer").get_to(report.layer);
  json.at("load").get_to(report.statistics.load);
  json.at("routed").get_to(report.statistics.routed);
  json.at("dropped").get_to(report.statistics.dropped);
  json.at("confidence").get_to(report.statistics.confidence);
  json.at("entropy").get_to(report.statistics.entropy);
  json.at("balance").get_to(report.balance);
  json.at("z").get_to(report.z);
  json.at("distillation").get_to(report.distillation);
  return report;
}

nlohmann::json to_json(const Interval& interval) {
  const UpdateReport& sums = interval.sums;
  nlohmann::json routing = nlohmann::json::array();
  for (const RoutingReport& report : sums.routing) routing.push_back(to_json(report));
  return {{"updates", interval.updates},         {"seconds", interval.seconds},
          {"cpu_seconds", interval.cpu_seconds}, {"sentences", sums.sentences},
          {"source_tokens", sums.source_tokens}, {"target_tokens", sums.target_tokens},
          {"cross_entropy", sums.cross_entropy}, {"nll", sums.nll},
          {"consistency", sums.consistency},     {"distillation", sums.distillation},
          {"predictions", sums.predictions},     {"gradient_norm", sums.gradient_norm},
          {"learning_rate", sums.learning_rate}, {"routing", routing}};
}

Interval interval_from_json(const nlohmann::json& json) {
  Interval interval;
  json.at("updates").get_to(interval.updates);
  json.at("seconds").get_to(interval.seconds);
  json.at("cpu_seconds").get_to(interval.cpu_seconds);
  UpdateReport& sums = interval.sums;
  json.at("sentences").get_to(sums.sentences);
  json.at("source_tokens").get_to(sums.source_tokens);
  json.at("target_tokens").get_to(sums.target_tokens);
  sums.predictions = json.value("predictions", sums.target_tokens);  // the same before there were classifiers
  json.at("cross_entropy").get_to(sums.cross_entropy);
  json.at("nll").get_to(sums.nll);
  json.at("consistency").get_to(sums.consistency);
  sums.distillation = json.value("distillation", 0.0);
  json.at("gradient_norm").get_to(sums.gradient_norm);
  json.at("learning_rate").get_to(sums.learning_rate);
  if (json.contains("routing")) {
    for (const auto& report : json.at("routing")) sums.routing.push_back(routing_from_json(report));
  }
  return interval;
}

}  // namespace

nlohmann::json to_json(const ProgressRecord& record) {
  nlohmann::json json = {{"update", record.update},
                         {"epoch", record.position.epoch},
                         {"batch", record.position.batch},
                         {"target_tokens", record.target_tokens},
                         {"seconds", record.seconds},
                         {"cost",
                          {{"seconds", record.cost.seconds},
                           {"cpu_seconds", record.cost.cpu_seconds},
                           {"flops", record.cost.flops}}},
                         {"validations_without_best", record.validations_without_best},
                         {"last_validation", record.last_validation},
                         {"interval", to_json(record.interval)}};
  if (record.best) {
    json["best"] = {{"update", record.best->update}, {"loss", record.best->loss}};
    if (record.best->bleu) json["best"]["bleu"] = *record.best->bleu;
    if (record.best->accuracy) json["best"]["accuracy"] = *record.best->accuracy;
  }
  return json;
}

ProgressRecord progress_from_json(const nlohmann::json& json, const std::string& where) {
  ProgressRecord record;
  try {
    json.at("update").get_to(record.update);
    json.at("epoch").get_to(record.position.epoch);
    json.at("batch").get_to(record.position.batch);
    json.at("target_tokens").get_to(record.target_tokens);
    json.at("seconds").get_to(record.seconds);
    if (json.contains("cost")) {  // from megin 0.2 on
      const auto& cost = json.at("cost");
      record.cost = {.seconds = cost.at("seconds").get<double>(),
                     .cpu_seconds = cost.at("cpu_seconds").get<double>(),
                     .flops = cost.at("flops").get<double>()};
    }
    json.at("validations_without_best").get_to(record.validations_without_best);
    json.at("last_validation").get_to(record.last_validation);
    if (json.contains("interval")) record.interval = interval_from_json(json.at("interval"));
    if (json.contains("best")) {
      const auto& best = json.at("best");
      record.best = {
          .update = best.at("update").get<int64_t>(), .loss = best.at("loss").get<double>(), .bleu = {}};
      if (best.contains("bleu")) record.best->bleu = best.at("bleu").get<double>();
      if (best.contains("accuracy")) record.best->accuracy = best.at("accuracy").get<double>();
    }
  } catch (const nlohmann::json::exception& error) {
    fail(
        "{}: the state of the training cannot be read ({}); remove this checkpoint to continue from the one "
        "before",
        where, error.what());
  }
  return record;
}

}  // namespace megin::train
