#include "train/progress_record.h"

#include "base/error.h"

namespace megin::train {
namespace {

nlohmann::json to_json(const Interval& interval) {
  const UpdateReport& sums = interval.sums;
  return {{"updates", interval.updates},         {"seconds", interval.seconds},
          {"cpu_seconds", interval.cpu_seconds}, {"sentences", sums.sentences},
          {"source_tokens", sums.source_tokens}, {"target_tokens", sums.target_tokens},
          {"cross_entropy", sums.cross_entropy}, {"nll", sums.nll},
          {"consistency", sums.consistency},     {"gradient_norm", sums.gradient_norm},
          {"learning_rate", sums.learning_rate}};
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
  json.at("cross_entropy").get_to(sums.cross_entropy);
  json.at("nll").get_to(sums.nll);
  json.at("consistency").get_to(sums.consistency);
  json.at("gradient_norm").get_to(sums.gradient_norm);
  json.at("learning_rate").get_to(sums.learning_rate);
  return interval;
}

}  // namespace

nlohmann::json to_json(const ProgressRecord& record) {
  nlohmann::json json = {{"update", record.update},
                         {"epoch", record.position.epoch},
                         {"batch", record.position.batch},
                         {"target_tokens", record.target_tokens},
                         {"seconds", record.seconds},
                         {"validations_without_best", record.validations_without_best},
                         {"last_validation", record.last_validation},
                         {"interval", to_json(record.interval)}};
  if (record.best) {
    json["best"] = {{"update", record.best->update}, {"loss", record.best->loss}};
    if (record.best->bleu) json["best"]["bleu"] = *record.best->bleu;
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
    json.at("validations_without_best").get_to(record.validations_without_best);
    json.at("last_validation").get_to(record.last_validation);
    if (json.contains("interval")) record.interval = interval_from_json(json.at("interval"));
    if (json.contains("best")) {
      const auto& best = json.at("best");
      record.best = {
          .update = best.at("update").get<int64_t>(), .loss = best.at("loss").get<double>(), .bleu = {}};
      if (best.contains("bleu")) record.best->bleu = best.at("bleu").get<double>();
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
