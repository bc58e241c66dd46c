#include "exchange/their_settings.h"

#include <fmt/format.h>

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
