#include "exchange/their_settings.h"

#include <fmt/format.h>

#include <set>

#include "text/unicode.h"

namespace megin::exchange {

std::vector<std::string> pieces_by_id(const std::filesystem::path& file, int64_t symbols) {
  std::vector<std::string> pieces(static_cast<size_t>(symbols));
  const nlohmann::json vocabulary = read_json(file);
  for (const auto& [piece, id] : vocabulary.items()) {
    const int64_t at = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (at < 0 || at >= symbols) {
      fail("{}: '{}': wanted an id from 0 to {}, found {}", file.string(), piece, symbols - 1, id.dump());
    }
    std::string& place = pieces[static_cast<size_t>(at)];
    if (!place.empty()) fail("{}: '{}' and '{}' have one id, {}", file.string(), place, piece, at);
    place = piece;
  }
  for (size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].empty()) pieces[id] = fmt::format("<|unused {}|>", id);
  }
  return pieces;
}

config::Activation TheirSettings::activation(const std::string& key, const std::string& standard) const {
  const std::string name = member(config_, key, file_, standard);
  if (name == "relu") return config::Activation::kRelu;
  if (name == "gelu") return config::Activation::kGelu;
  if (name == "swish" || name == "silu") return config::Activation::kSilu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return config::Activation::kGeluTanh;
  fail("{}: {}: wanted relu, gelu, gelu_new, silu or swish, found '{}'", file_.string(), key, name);
}

void TheirSettings::require_within(const std::string& key, int64_t id, int64_t symbols) const {
  if (id < 0 || id >= symbols) {
    fail("{}: {}: wanted an id from 0 to {}, found {}", file_.string(), key, symbols - 1, id);
  }
}

std::string TheirSettings::architecture(const std::string& standard) const {
  const auto found = member(config_, "architectures", file_, std::vector<std::string>());
  return found.empty() ? standard : found.front();
}

std::vector<std::string> TheirSettings::standard_labels(int64_t count) const {
  constexpr int64_t kMost = 10'000;  // as data/class_labels.cpp has it: more are nobody's classes
  if (count == 1) refuse("num_labels", "2 classes or more", "1, which is a regression");
  if (count < 2 || count > kMost)
    refuse("num_labels", fmt::format("from 2 to {} classes", kMost), std::to_string(count));
  std::vector<std::string> labels;
  for (int64_t id = 0; id < count; ++id) labels.push_back(fmt::format("LABEL_{}", id));
  return labels;
}

std::vector<std::string> TheirSettings::classes() const {
  const std::string single = "single_label_classification";
  require("problem_type", single, single);
  const auto names = member(config_, "id2label", file_, nlohmann::json());
  if (names.is_null()) return standard_labels(number("num_labels", 2));
  if (!names.is_object()) refuse("id2label", "labels by their numbers", names.type_name());
  const auto count = static_cast<int64_t>(names.size());
  std::vector<std::string> labels = standard_labels(number("num_labels", count));
  if (labels.size() != names.size())
    refuse("id2label", fmt::format("{} labels, as num_labels has it", labels.size()), std::to_string(count));
  std::set<std::string> found;
  for (size_t id = 0; id < labels.size(); ++id) {
    const std::string key = std::to_string(id);
    if (!names.contains(key)) refuse("id2label", fmt::format("the numbers 0 to {}", count - 1), "no " + key);
    if (!names.at(key).is_string()) refuse("id2label." + key, "a label", names.at(key).dump());
    labels[id] = names.at(key).get<std::string>();
    // As megin reads the labels of a text, and writes them, one a line.
    if (labels[id].empty() || text::normalise_whitespace(labels[id]) != labels[id]) {
      refuse("id2label." + key, "a label without white space but for single spaces within it",
             names.at(key).dump());
    }
    if (!found.insert(labels[id]).second)
      refuse("id2label." + key, "labels that all differ", names.at(key).dump() + " once more");
  }
  return labels;
}

void TheirSettings::refuse(const std::string& key, const std::string& wanted,
                           const std::string& found) const {
  fail("{}: {}: wanted {}, found {}", file_.string(), key, wanted, found);
}

void TheirSettings::check(const config::ModelConfig& model) const {
  constexpr int64_t kMost = int64_t{1} << 24;
  constexpr int64_t kMostLayers = 1000;
  const int64_t symbols = number("vocab_size", 0);
  for (const int64_t size : {model.width, model.feed_forward, model.heads, model.head_width, model.max_length,
                             model.position_buckets, model.position_distance, symbols}) {
    if (size < 0 || size > kMost) fail("{}: a size of {} is none that a model has", file_.string(), size);
  }
  for (const int64_t layers : {model.encoder_layers, model.decoder_layers}) {
    if (layers < 0 || layers > kMostLayers) fail("{}: {} layers are no model's", file_.string(), layers);
  }
  if (model.max_length * model.width > kMost * kMostLayers)
    fail("{}: its positions are too many", file_.string());
  try {
    config::check(model);
  } catch (const UsageError& error) {
    fail("{}: {}", file_.string(), error.what());
  }
}

}  // namespace megin::exchange
