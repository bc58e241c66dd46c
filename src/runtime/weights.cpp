#include "runtime/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "config/position_buckets.h"
#include "matrix/highest.h"
#include "store/sinusoid.h"
#include "store/tensor_names.h"

namespace megin::runtime {
namespace {

using config::ModelConfig;
using config::Stack;

// Reads tensors by name and holds their sizes to the table of tensor names.
class Loader {
 public:
  Loader(const ModelConfig& config, const TensorSource& source) : config_(config), source_(source) {
    for (const store::TensorShape& tensor : store::tensor_shapes(config)) {
      sizes_[tensor.name] =
          std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
    }
  }

  std::span<const float> tensor(const std::string& name) const {
    const std::span<const float> values = source_(name);
    const int64_t wanted = sizes_.at(name);
    if (static_cast<int64_t>(values.size()) != wanted) {
      fail("tensor {}: wanted {} values, found {}; the weights are of another model than the configuration",
           name, wanted, values.size());
    }
    return values;
  }

  Linear linear(const std::string& prefix, int64_t outputs, int64_t inputs) const {
    return {PackedMatrix(tensor(prefix + "weight"), outputs, inputs), tensor(prefix + "bias")};
  }

  // Of attention.
  Linear projection(const std::string& prefix, int64_t outputs, int64_t inputs) const {
    return config_.biases ? linear(prefix, outputs, inputs)
                          : linear_without_bias(prefix + "weight", outputs, inputs);
  }

  Linear linear_without_bias(const std::string& name, int64_t outputs, int64_t inputs) const {
    return {PackedMatrix(tensor(name), outputs, inputs), {}};
  }

  NormWeights norm(const std::string& prefix) const {
    const bool has_bias = config_.norm == config::NormKind::kLayerNorm;
    return {tensor(prefix + "weight"), has_bias ? tensor(prefix + "bias") : std::span<const float>(),
            static_cast<float>(config_.norm_epsilon)};
  }

  RouterWeights router(const std::string& prefix) const {
    const config::ExpertConfig& experts = config_.experts;
    RouterWeights router;
    if (config::has_scores(experts.router)) {
      router.weight = PackedMatrix(tensor(prefix + "weight"), experts.count, config_.width);
    }
    if (experts.biased) router.bias = tensor(prefix + "bias");
    if (experts.router == config::RouterKind::kHash) {
      const bool by_position = experts.hash == config::HashTable::kPosition;
      (by_position ? router.positions : router.table) = hash_table(prefix + "table");
      require_different(prefix + "table", router.positions);
    }
    if (experts.router == config::RouterKind::kDistilled) add_distilled(prefix, router);
    return router;
  }

  std::vector<int64_t> hash_table(const std::string& name) const {
    std::vector<int64_t> table;
    for (const float expert : tensor(name)) {
      const bool right =
          expert >= 0 && expert < static_cast<float>(config_.experts.count) && expert == std::floor(expert);
      if (!right) {
        fail("tensor {}: wanted whole numbers from 0 to {}, found {}", name, config_.experts.count - 1,
             expert);
      }
      table.push_back(static_cast<int64_t>(expert));
    }
    return table;
  }

  // Of each position: an expert that a token met twice would get more rows than there are tokens.
  void require_different(const std::string& name, const std::vector<int64_t>& positions) const {
    const auto k = static_cast<size_t>(config_.experts.active);
    for (size_t at = 0; at < positions.size(); at += k) {
      const auto own = std::span(positions).subspan(at, k);
      const std::set<int64_t> different(own.begin(), own.end());
      if (different.size() == k) continue;
      fail("tensor {}: wanted {} different experts for position {}, found {}", name, k, at / k,
           fmt::join(own, ", "));
    }
  }

  // A distilled router looks at nothing but symbols, each of which adds its own to the scores. Of one that
  // looks at the token's alone, one choice for each symbol is all that there is to know.
  void add_distilled(const std::string& prefix, RouterWeights& router) const {
    const auto width = config_.experts.distilled_width, experts = config_.experts.count;
    const std::span<const float> symbols = tensor(prefix + "symbols");
    const PackedMatrix centres(tensor(prefix + "centres"), experts, width);
    const auto count = static_cast<int64_t>(symbols.size()) / width;
    std::vector<float> scores(static_cast<size_t>(count * experts));
    multiply(centres, {}, ConstRows(symbols.data(), count, width), Rows{scores.data(), count, experts});
    switch (config_.experts.distilled_input) {
      case config::DistilledInput::kWord:
        router.table.resize(static_cast<size_t>(count));
        for (int64_t symbol = 0; symbol < count; ++symbol) {
          matrix::choose_highest({scores.data() + symbol * experts, static_cast<size_t>(experts)},
                                 {&router.table[static_cast<size_t>(symbol)], 1});
        }
        return;
      case config::DistilledInput::kBigram:
        router.kernel = {0.5F, 0.5F};
        break;
      case config::DistilledInput::kCnn: {
        const std::span<const float> kernel = tensor(prefix + "kernel");
        router.kernel.assign(kernel.begin(), kernel.end());
        break;
      }
    }
    router.symbol_scores = std::move(scores);
  }

  LayerWeights layer(Stack stack, int64_t index) const {
    const std::string prefix = store::layer_prefix(stack, index);
    const int64_t d = config_.width, heads = config::attention_width(config_);
    LayerWeights layer;
    if (config::has_memory(config_)) {
      layer.query_key_value =
          linear_without_bias(prefix + "self_attention.query_key_value.weight", 3 * heads, d);
      layer.self_output = linear_without_bias(prefix + "self_attention.output.weight", d, heads);
      layer.distances = distances(prefix + "self_attention.distance.weight");
    } else {
      layer.query_key_value = projection(prefix + "self_attention.query_key_value.", 3 * heads, d);
      layer.self_output = projection(prefix + "self_attention.output.", d, heads);
    }
    layer.self_norm = norm(prefix + "self_attention.norm.");
    if (stack == Stack::kDecoder && config::has_encoder(config_)) {
      layer.cross_query = projection(prefix + "cross_attention.query.", heads, d);
      layer.cross_key_value = projection(prefix + "cross_attention.key_value.", 2 * heads, d);
      layer.cross_output = projection(prefix + "cross_attention.output.", d, heads);
      layer.cross_norm = norm(prefix + "cross_attention.norm.");
    }
    layer.chooses = config::is_expert_layer(config_, stack, index);
    layer.expert_layer = static_cast<uint64_t>(config::expert_layer_number(config_, stack, index));
    layer.number = static_cast<uint64_t>(index + (stack == Stack::kDecoder ? config_.encoder_layers : 0));
    const bool inserted = config::has_inserted_layer(config_, stack, index);
    const int64_t width = config::expert_feed_forward(config_);
    const bool replaced = layer.chooses && !inserted;
    layer.experts = experts(prefix + "feed_forward.", replaced ? config_.experts.count : 1,
                            replaced ? width : config_.feed_forward);
    layer.feed_forward_norm = norm(prefix + "feed_forward.norm.");
    const bool shared = config_.experts.shared;
    if (replaced && shared) layer.shared = experts(prefix + "feed_forward.shared.", 1, width);
    for (int64_t j = 0; inserted && j < config_.experts.sublayers; ++j) {
      layer.inserted.push_back(
          residual_sublayer(fmt::format("{}inserted.{}.", prefix, j), config_.experts.count, width));
      if (!shared) continue;
      layer.inserted_shared.push_back(
          residual_sublayer(fmt::format("{}inserted.shared.{}.", prefix, j), 1, width));
    }
    if (layer.chooses && config_.experts.scales) {
      layer.scales = tensor(store::scale_name(config_, stack, index));
    }
    if (layer.chooses) layer.router = router(store::expert_prefix(config_, stack, index) + "router.");
    return layer;
  }

  // The vectors of all distances that a token sees, projected, in blocks.
  hwy::AlignedFreeUniquePtr<float[]> distances(const std::string& name) const {
    const AttentionShape shape{config_.heads, config::width_of_head(config_)};
    const int64_t count = config::attention_reach(config_), block = kBlockPositions * shape.width();
    const std::vector<float> vectors = distance_vectors(count, config_.width);
    std::vector<float> projected(static_cast<size_t>(count * shape.width()));
    multiply(PackedMatrix(tensor(name), shape.width(), config_.width), {},
             ConstRows(vectors.data(), count, config_.width), Rows{projected.data(), count, shape.width()});
    auto blocks = hwy::AllocateAligned<float>(static_cast<size_t>(blocks_for(count) * block));
    std::fill_n(blocks.get(), blocks_for(count) * block, 0.0F);
    for (int64_t n = 0; n < count; ++n) {
      store_keys(shape, projected.data() + n * shape.width(), n % kBlockPositions,
                 blocks.get() + n / kBlockPositions * block);
    }
    return blocks;
  }

  std::unique_ptr<Experts> experts(const std::string& prefix, int64_t count, int64_t feed_forward) const {
    const TensorSource checked = [this](const std::string& name) { return tensor(name); };
    return std::make_unique<Experts>(config_, checked, prefix, Experts::Size{count, feed_forward});
  }

  ResidualSublayer residual_sublayer(const std::string& prefix, int64_t count, int64_t feed_forward) const {
    const auto width = static_cast<size_t>(config_.width);
    const NormWeights all = norm(prefix + "norm.");
    ResidualSublayer sublayer{.norms = {}, .experts = experts(prefix, count, feed_forward)};
    for (size_t e = 0; e < static_cast<size_t>(count); ++e) {
      sublayer.norms.push_back({all.weight.subspan(e * width, width),
                                all.bias.empty() ? all.bias : all.bias.subspan(e * width, width),
                                all.epsilon});
    }
    return sublayer;
  }

 private:
  const ModelConfig& config_;
  const TensorSource& source_;
  std::unordered_map<std::string, int64_t> sizes_;
};

// The table of buckets, [buckets, heads], spread over all offsets that a sentence has.
std::vector<float> position_bias(const ModelConfig& config, Stack stack, std::span<const float> table) {
  const int64_t farthest = config.max_length - 1;
  const auto buckets = config::position_buckets(config, stack, -farthest, farthest);
  std::vector<float> bias;
  for (int64_t head = 0; head < config.heads; ++head) {
    for (const int64_t bucket : buckets)
      bias.push_back(table[static_cast<size_t>(bucket * config.heads + head)]);
  }
  return bias;
}

StackWeights load_stack(const Loader& loader, const ModelConfig& config, Stack stack) {
  StackWeights weights;
  const bool shared = config::shares_inputs(config);
  const char* own = stack == Stack::kEncoder ? "source_embedding.weight" : "target_embedding.weight";
  weights.embedding = loader.tensor(shared ? "embedding.weight" : own);
  for (int64_t i = 0; i < config::stored_layers_of(config, stack); ++i) {
    weights.layers.push_back(loader.layer(stack, i));
  }
  const std::string prefix = store::stack_name(stack) + ".";
  if (config.norm_position == config::NormPosition::kPre) {
    const int64_t norms = stack == Stack::kDecoder ? config::decoders_of(config) : 1;
    for (int64_t of = 0; of < norms; ++of) {
      weights.norms.push_back(loader.norm(store::final_norm_name(stack, of) + "."));
    }
  }
  if (config.positions == config::Positions::kLearned) {
    weights.positions = loader.tensor(prefix + "positions.weight");
  }
  if (config.positions == config::Positions::kBucketed) {
    weights.position_bias = position_bias(config, stack, loader.tensor(prefix + "positions.weight"));
  }
  return weights;
}

MixtureWeights load_mixture(const Loader& loader, const ModelConfig& config) {
  MixtureWeights weights;
  if (!config::is_mixture(config)) return weights;
  if (config.mixture.kind == config::MixtureKind::kBegin) weights.begin = loader.tensor("mixture.begin");
  if (!config::has_learned_prior(config)) return weights;
  weights.prior_hidden = loader.linear("mixture.prior.hidden.", config.width, config.width);
  weights.prior_output = loader.linear("mixture.prior.output.", config.mixture.components, config.width);
  return weights;
}

ClassifierWeights load_classifier(const Loader& loader, const ModelConfig& config) {
  if (!config::is_classifier(config)) return {};
  return {.hidden = loader.linear("classifier.hidden.", config.width, config.width),
          .output = loader.linear("classifier.output.", config.classes, config.width)};
}

}  // namespace

TensorSource tensors_of(std::shared_ptr<const store::ModelDirectory> directory) {
  return [directory = std::move(directory)](const std::string& name) {
    return store::float_values(directory->weights.at(name));
  };
}

Experts::Experts(const ModelConfig& config, const TensorSource& tensors, const std::string& prefix, Size size)
    : size_(size),
      slots_(std::make_unique<Slot[]>(static_cast<size_t>(size.count))),
      all_(std::make_unique<Slot>()) {
  const auto matrix = [&](const char* name, int64_t outputs, int64_t inputs) {
    const std::string start = prefix + name;
    return Matrix{tensors(start + ".weight"),
                  config.biases ? tensors(start + ".bias") : std::span<const float>(), outputs, inputs};
  };
  fc1_ = matrix("fc1", size.feed_forward, config.width);
  if (config::is_gated(config.activation)) gate_ = matrix("gate", size.feed_forward, config.width);
  fc2_ = matrix("fc2", config.width, size.feed_forward);
}

Linear Experts::pack(const Matrix& matrix, int64_t expert) {
  const auto part = [expert](std::span<const float> all, int64_t size) {
    return all.subspan(static_cast<size_t>(expert * size), static_cast<size_t>(size));
  };
  return {PackedMatrix(part(matrix.weight, matrix.outputs * matrix.inputs), matrix.outputs, matrix.inputs),
          matrix.bias.empty() ? matrix.bias : part(matrix.bias, matrix.outputs)};
}

const FeedForward& Experts::operator[](int64_t expert) const {
  Slot& slot = slots_[static_cast<size_t>(expert)];
  std::call_once(slot.packed, [&] {
    slot.feed_forward.fc1 = pack(fc1_, expert);
    if (gate_.outputs > 0) slot.feed_forward.gate = pack(gate_, expert);
    slot.feed_forward.fc2 = pack(fc2_, expert);
  });
  return slot.feed_forward;
}

const FeedForward& Experts::all() const {
  std::call_once(all_->packed, [&] {
    const int64_t inner = size_.count * size_.feed_forward, width = fc2_.outputs;
    const auto first = [&](const Matrix& matrix) {
      return Linear{PackedMatrix(matrix.weight, inner, width), matrix.bias};
    };
    all_->feed_forward.fc1 = first(fc1_);
    if (gate_.outputs > 0) all_->feed_forward.gate = first(gate_);
    std::vector<float> beside(static_cast<size_t>(width * inner));
    for (int64_t e = 0; e < size_.count; ++e) {
      for (int64_t row = 0; row < width; ++row) {
        const float* const from = fc2_.weight.data() + (e * width + row) * size_.feed_forward;
        std::copy_n(from, size_.feed_forward, beside.data() + row * inner + e * size_.feed_forward);
      }
    }
    all_->feed_forward.fc2 = {PackedMatrix(beside, width, inner), {}};
  });
  return all_->feed_forward;
}

Weights::Weights(const ModelConfig& model_config, TensorSource source)
    : config(model_config), tensors(std::move(source)) {
  const Loader loader(config, tensors);
  if (config::has_encoder(config)) encoder = load_stack(loader, config, Stack::kEncoder);
  if (config::has_decoder(config)) decoder = load_stack(loader, config, Stack::kDecoder);
  if (config.norm_embeddings) embedding_norm = loader.norm("embedding_norm.");
  if (config.output_transform) {
    output_transform = loader.linear("output_transform.", config.width, config.width);
    output_transform_norm = loader.norm("output_transform_norm.");
  }
  mixture = load_mixture(loader, config);
  classifier = load_classifier(loader, config);
  const StackWeights& last = config::has_decoder(config) ? decoder : encoder;
  output = PackedMatrix(config::has_own_output(config) ? loader.tensor("output.weight") : last.embedding,
                        config.target_vocabulary, config.width);
  if (config.output_bias) output_bias = loader.tensor("output.bias");
  if (config.begin_vector) begin = loader.tensor("decoder.begin");
  if (config.positions == config::Positions::kSinusoidal) {
    sinusoid = store::sinusoidal_positions(config.max_length, config.width);
    encoder.positions = decoder.positions = sinusoid;
  }
  if (config::has_memory(config)) {
    content_bias = loader.tensor("decoder.relative.content_bias");
    distance_bias = loader.tensor("decoder.relative.distance_bias");
  }
  if (rotary()) {
    const int64_t half = attention().head_width / 2;
    for (int64_t position = 0; position < config.max_length; ++position) {
      for (int64_t i = 0; i < half; ++i) {
        const double frequency = std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
        rotary_cosines.push_back(static_cast<float>(std::cos(static_cast<double>(position) * frequency)));
        rotary_sines.push_back(static_cast<float>(std::sin(static_cast<double>(position) * frequency)));
      }
    }
  }
}

std::vector<float> distance_vectors(int64_t count, int64_t width) {
  const int64_t half = width / 2;
  std::vector<float> table(static_cast<size_t>(count * width));
  for (int64_t n = 0; n < count; ++n) {
    for (int64_t k = 0; k < half; ++k) {
      const double angle = static_cast<double>(n) *
                           std::pow(10000.0, -static_cast<double>(2 * k) / static_cast<double>(width));
      table[static_cast<size_t>(n * width + k)] = static_cast<float>(std::sin(angle));
      table[static_cast<size_t>(n * width + half + k)] = static_cast<float>(std::cos(angle));
    }
  }
  return table;
}

}  // namespace megin::runtime
