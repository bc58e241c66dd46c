#include "runtime/reference_model.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <optional>

#include "store/tensor_names.h"

namespace megin::runtime {
namespace {

Matrix plus(Matrix a, const Matrix& b, double factor = 1) {
  for (size_t r = 0; r < a.size(); ++r) {
    for (size_t c = 0; c < a[r].size(); ++c) a[r][c] += factor * b[r][c];
  }
  return a;
}

Matrix columns(const Matrix& x, int64_t from, int64_t to) {
  Matrix part;
  for (const auto& row : x) part.emplace_back(row.begin() + from, row.begin() + to);
  return part;
}

}  // namespace

// Outputs first, first + 1 ... of x W^T + b; `first` and the outputs count over all experts of a stacked
// tensor.
Matrix ReferenceModel::linear(const Matrix& x, const std::string& name, int64_t first,
                              int64_t outputs) const {
  const auto weight = tensors_(name + ".weight");
  const bool biased = config_.biases || name.starts_with("mixture.") || name.starts_with("classifier.") ||
                      name == "output_transform";
  const auto bias = biased ? tensors_(name + ".bias") : std::span<const float>();
  const size_t inputs = x[0].size();
  Matrix y(x.size(), std::vector<double>(outputs));
  for (size_t r = 0; r < x.size(); ++r) {
    for (int64_t o = 0; o < outputs; ++o) {
      double sum = biased ? bias[first + o] : 0.0;
      for (size_t i = 0; i < inputs; ++i) sum += x[r][i] * weight[(first + o) * inputs + i];
      y[r][o] = sum;
    }
  }
  return y;
}

Matrix ReferenceModel::norm(const Matrix& x, const std::string& prefix, int64_t expert) const {
  return norm_by(x, prefix + "norm", expert);
}

Matrix ReferenceModel::norm_by(const Matrix& x, const std::string& name, int64_t expert) const {
  const auto weight = tensors_(name + ".weight").subspan(static_cast<size_t>(expert) * x[0].size());
  const bool rms = config_.norm == config::NormKind::kRmsNorm;
  Matrix y = x;
  for (auto& row : y) {
    const double n = static_cast<double>(row.size());
    double mean = 0, square = 0;
    for (const double v : row) mean += v / n;
    if (rms) mean = 0;
    for (const double v : row) square += (v - mean) * (v - mean) / n;
    for (size_t c = 0; c < row.size(); ++c) {
      row[c] = (row[c] - mean) / std::sqrt(square + config_.norm_epsilon) * weight[c];
      if (!rms) row[c] += tensors_(name + ".bias")[static_cast<size_t>(expert) * x[0].size() + c];
    }
  }
  return y;
}

Matrix ReferenceModel::embed(config::Stack stack, std::span<const int32_t> tokens,
                             std::span<const float> first) const {
  const bool encoder = stack == config::Stack::kEncoder;
  const bool shared = config::shares_inputs(config_);
  const auto table = tensors_(shared    ? "embedding.weight"
                              : encoder ? "source_embedding.weight"
                                        : "target_embedding.weight");
  const int64_t d = config_.width, half = d / 2;
  Matrix x;
  for (size_t t = 0; t < tokens.size(); ++t) {
    std::vector<double> row(d);
    for (int64_t c = 0; c < d; ++c) {
      const bool replaced = t == 0 && !first.empty();
      row[c] = (config_.scale_embeddings ? std::sqrt(static_cast<double>(d)) : 1.0) *
               (replaced ? first[static_cast<size_t>(c)] : table[static_cast<size_t>(tokens[t] * d + c)]);
      if (config_.positions == config::Positions::kSinusoidal) {
        const double k = static_cast<double>(c % half);
        const double angle =
            (static_cast<double>(t) + 2) / std::pow(10000.0, k / static_cast<double>(half - 1));
        row[c] += c < half ? std::sin(angle) : std::cos(angle);
      }
      if (config_.positions == config::Positions::kLearned) {
        row[c] += tensors_(store::stack_name(stack) + ".positions.weight")[t * d + c];
      }
    }
    x.push_back(row);
  }
  return encoder && config_.norm_embeddings ? norm_by(x, "embedding_norm") : x;
}

Matrix ReferenceModel::rotated(Matrix x) const {
  if (config_.positions != config::Positions::kRotary) return x;
  const int64_t width = config::width_of_head(config_), half = width / 2;
  for (size_t t = 0; t < x.size(); ++t) {
    for (int64_t h = 0; h < config_.heads; ++h) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(t) * std::pow(10000.0, -2.0 * i / static_cast<double>(width));
        double& low = x[t][h * width + i];
        double& high = x[t][h * width + half + i];
        const double a = low, b = high;
        low = a * std::cos(angle) - b * std::sin(angle);
        high = b * std::cos(angle) + a * std::sin(angle);
      }
    }
  }
  return x;
}

// Raffel et al. 2020: of n buckets for a side, the first n / 2 hold a distance each, the others grow by one
// factor up to position_distance; where a query sees both sides, the second half is for keys behind it.
int64_t ReferenceModel::bucket_of(int64_t offset, bool causal) const {
  const int64_t side = causal ? config_.position_buckets : config_.position_buckets / 2;
  const int64_t alone = side / 2, shared = side - alone;
  const auto far = static_cast<double>(std::abs(offset)), exact = static_cast<double>(alone);
  const double grown = exact + std::log(far / exact) /
                                   std::log(static_cast<double>(config_.position_distance) / exact) *
                                   static_cast<double>(shared);
  constexpr double kSlack = 1e-6;  // of whole numbers that double misses
  const int64_t bucket = far < exact ? static_cast<int64_t>(far) : static_cast<int64_t>(grown + kSlack);
  return std::min(bucket, side - 1) + (offset > 0 ? side : 0);
}

Matrix ReferenceModel::attention(const Matrix& queries, const Matrix& keys, const Matrix& values, bool causal,
                                 const std::string& positions) const {
  const int64_t width = config::width_of_head(config_);
  Matrix context(queries.size(), std::vector<double>(config::attention_width(config_), 0.0));
  for (size_t t = 0; t < queries.size(); ++t) {
    const size_t seen = causal ? t + 1 : keys.size();
    for (int64_t h = 0; h < config_.heads; ++h) {
      std::vector<double> p(seen);
      double total = 0;
      for (size_t j = 0; j < seen; ++j) {
        double score = 0;
        for (int64_t c = h * width; c < (h + 1) * width; ++c) score += queries[t][c] * keys[j][c];
        if (config_.scale_attention) score /= std::sqrt(static_cast<double>(width));
        if (!positions.empty()) {
          const int64_t bucket = bucket_of(static_cast<int64_t>(j) - static_cast<int64_t>(t), causal);
          score += tensors_(positions)[static_cast<size_t>(bucket * config_.heads + h)];
        }
        p[j] = std::exp(score);
        total += p[j];
      }
      for (size_t j = 0; j < seen; ++j) {
        for (int64_t c = h * width; c < (h + 1) * width; ++c) context[t][c] += p[j] / total * values[j][c];
      }
    }
  }
  return context;
}

Matrix ReferenceModel::self_attention(const Matrix& x, const std::string& prefix, bool causal) const {
  if (config::has_memory(config_)) return relative_attention(x, prefix);
  const int64_t d = config::attention_width(config_);
  const Matrix all = linear(x, prefix + "query_key_value", 0, 3 * d);
  const bool bucketed = config_.positions == config::Positions::kBucketed;
  const std::string positions = prefix.substr(0, prefix.find('.')) + ".positions.weight";
  const Matrix context = attention(rotated(columns(all, 0, d)), rotated(columns(all, d, 2 * d)),
                                   columns(all, 2 * d, 3 * d), causal, bucketed ? positions : "");
  return linear(context, prefix + "output", 0, config_.width);
}

// Dai et al. 2019, section 3.3: the score of query i and key j is
// (q_i k_j + q_i W_R r_{i-j} + u k_j + v W_R r_{i-j}) / sqrt(head width).
Matrix ReferenceModel::relative_attention(const Matrix& x, const std::string& prefix) const {
  const int64_t inner = config::attention_width(config_), width = config::width_of_head(config_);
  const int64_t d = config_.width;
  const auto product = [&](const std::string& name, const std::vector<double>& row, int64_t output) {
    const auto weight = tensors_(prefix + name);
    double sum = 0;
    for (size_t c = 0; c < row.size(); ++c)
      sum += weight[static_cast<size_t>(output) * row.size() + c] * row[c];
    return sum;
  };
  Matrix all(x.size()), distances(x.size());
  for (size_t t = 0; t < x.size(); ++t) {
    for (int64_t o = 0; o < 3 * inner; ++o) all[t].push_back(product("query_key_value.weight", x[t], o));
    std::vector<double> r(static_cast<size_t>(d));
    for (int64_t k = 0; k < d / 2; ++k) {
      const double angle = static_cast<double>(t) * std::pow(10000.0, -2.0 * k / static_cast<double>(d));
      r[k] = std::sin(angle);
      r[d / 2 + k] = std::cos(angle);
    }
    for (int64_t o = 0; o < inner; ++o) distances[t].push_back(product("distance.weight", r, o));
  }
  const auto u = tensors_("decoder.relative.content_bias"), v = tensors_("decoder.relative.distance_bias");
  Matrix y;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto first =
        static_cast<size_t>(config::evaluation_segments(config_).first_seen(static_cast<int64_t>(i)));
    std::vector<double> context(inner, 0.0);
    for (int64_t h = 0; h < config_.heads; ++h) {
      std::vector<double> p(i + 1, 0.0);
      double total = 0;
      for (size_t j = first; j <= i; ++j) {
        double score = 0;
        for (int64_t c = h * width; c < (h + 1) * width; ++c) {
          score += (all[i][c] + u[c]) * all[j][inner + c] + (all[i][c] + v[c]) * distances[i - j][c];
        }
        total += p[j] =
            std::exp(config_.scale_attention ? score / std::sqrt(static_cast<double>(width)) : score);
      }
      for (size_t j = first; j <= i; ++j) {
        for (int64_t c = h * width; c < (h + 1) * width; ++c) {
          context[c] += p[j] / total * all[j][2 * inner + c];
        }
      }
    }
    y.emplace_back();
    for (int64_t o = 0; o < d; ++o) y.back().push_back(product("output.weight", context, o));
  }
  return y;
}

Matrix ReferenceModel::cross_attention(const Matrix& x, const Matrix& memory,
                                       const std::string& prefix) const {
  const int64_t d = config::attention_width(config_);
  const Matrix all = linear(memory, prefix + "key_value", 0, 2 * d);
  const Matrix context =
      attention(linear(x, prefix + "query", 0, d), columns(all, 0, d), columns(all, d, 2 * d), false, "");
  return linear(context, prefix + "output", 0, config_.width);
}

double ReferenceModel::act(double x) const {
  switch (config_.activation) {
    case config::Activation::kRelu:
    case config::Activation::kReglu:
      return x > 0 ? x : 0;
    case config::Activation::kGelu:
    case config::Activation::kGeglu:
      return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case config::Activation::kGeluTanh:
    case config::Activation::kGegluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    default:
      return x / (1 + std::exp(-x));
  }
}

Matrix ReferenceModel::run_expert(const Matrix& x, const std::string& prefix, int64_t expert,
                                  int64_t f) const {
  Matrix hidden = linear(x, prefix + "fc1", expert * f, f);
  const bool gated = config::is_gated(config_.activation);
  const Matrix gate = gated ? linear(x, prefix + "gate", expert * f, f) : hidden;
  for (size_t r = 0; r < hidden.size(); ++r) {
    for (int64_t c = 0; c < f; ++c) hidden[r][c] = act(gate[r][c]) * (gated ? hidden[r][c] : 1.0);
  }
  return linear(hidden, prefix + "fc2", expert * config_.width, config_.width);
}

Matrix ReferenceModel::feed_forward(const Matrix& x, const std::string& prefix, const Place& place) const {
  const bool experts = config_.experts.body == config::ExpertBody::kReplace &&
                       config::is_expert_layer(config_, place.stack, place.layer);
  if (!experts) return run_expert(x, prefix, 0, config_.feed_forward);
  std::vector<Matrix> all;
  for (int64_t e = 0; e < config_.experts.count; ++e) {
    all.push_back(run_expert(x, prefix, e, config::expert_feed_forward(config_)));
  }
  Matrix y(x.size(), std::vector<double>(x[0].size(), 0.0));
  for (size_t t = 0; t < x.size(); ++t) {
    const std::vector<double> weights = expert_weights(x, t, prefix, place);
    for (size_t e = 0; e < weights.size(); ++e) {
      for (size_t c = 0; c < y[t].size(); ++c) y[t][c] += weights[e] * all[e][t][c];
    }
  }
  y = scaled(y, prefix, place);
  if (!config_.experts.shared) return y;
  return plus(y, run_expert(x, prefix + "shared.", 0, config::expert_feed_forward(config_)));
}

// g E(x) + (1 - g) x, where a row has one expert.
Matrix ReferenceModel::inserted(const Matrix& x, const std::string& prefix, const Place& place) const {
  const auto run = [&](const std::string& start, int64_t e) {
    Matrix h = x;
    for (int64_t s = 0; s < config_.experts.sublayers; ++s) {
      const std::string sublayer = start + std::to_string(s) + ".";
      h = plus(h, run_expert(norm(h, sublayer, e), sublayer, e, config::expert_feed_forward(config_)));
    }
    return h;
  };
  std::vector<Matrix> all;
  for (int64_t e = 0; e < config_.experts.count; ++e) all.push_back(run(prefix, e));
  if (all.size() == 1) return all[0];
  Matrix y = x;
  for (size_t t = 0; t < x.size(); ++t) {
    const std::vector<double> weights = expert_weights(x, t, prefix, place);
    const double kept = 1.0 - std::accumulate(weights.begin(), weights.end(), 0.0);
    for (size_t c = 0; c < y[t].size(); ++c) {
      y[t][c] = kept * x[t][c];
      for (size_t e = 0; e < weights.size(); ++e) y[t][c] += weights[e] * all[e][t][c];
    }
  }
  y = plus(x, scaled(plus(y, x, -1.0), prefix, place));
  if (!config_.experts.shared) return y;
  const Matrix shared = run(prefix + "shared.", 0);
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t c = 0; c < y[t].size(); ++c) y[t][c] += shared[t][c] - x[t][c];
  }
  return y;
}

Matrix ReferenceModel::run_stack(Matrix x, const Matrix* memory, const Place& start) const {
  const bool pre = config_.norm_position == config::NormPosition::kPre;
  const bool decoder = start.stack == config::Stack::kDecoder;
  const bool own_decoder = decoder && config::decoders_of(config_) > 1;
  const int64_t number = own_decoder ? component(*memory) : 0;
  const int64_t layers = config::layers_of(config_, start.stack);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = store::layer_prefix(start.stack, number * layers + i);
    const auto sublayer = [&](const std::string& name, auto&& f) {
      const std::string prefix = layer + name + ".";
      x = pre ? plus(x, f(norm(x, prefix), prefix)) : norm(plus(x, f(x, prefix)), prefix);
    };
    sublayer("self_attention",
             [&](const Matrix& in, const std::string& p) { return self_attention(in, p, decoder); });
    if (memory) {
      sublayer("cross_attention",
               [&](const Matrix& in, const std::string& p) { return cross_attention(in, *memory, p); });
    }
    const Place place{start.stack, i, start.sentence, start.symbols, memory};
    sublayer("feed_forward",
             [&](const Matrix& in, const std::string& p) { return feed_forward(in, p, place); });
    if (config::has_inserted_layer(config_, start.stack, i)) x = inserted(x, layer + "inserted.", place);
  }
  return pre ? norm_by(x, store::final_norm_name(start.stack, number)) : x;
}

// Of a mixture: the given one, or the likeliest.
int64_t ReferenceModel::component(const Matrix& memory) const {
  if (dispatch_.mode == config::DispatchMode::kPath) return dispatch_.path[0];
  Matrix mean(1, std::vector<double>(memory[0].size()));
  for (const auto& row : memory) {
    for (size_t c = 0; c < row.size(); ++c) mean[0][c] += row[c] / static_cast<double>(memory.size());
  }
  Matrix hidden = linear(mean, "mixture.prior.hidden", 0, config_.width);
  for (double& value : hidden[0]) value = std::tanh(value);
  const auto scores = linear(hidden, "mixture.prior.output", 0, config_.mixture.components)[0];
  return std::ranges::max_element(scores) - scores.begin();
}

Matrix ReferenceModel::decoder_states(std::span<const int32_t> source, std::span<const int32_t> target,
                                      uint64_t sentence) const {
  using config::Stack;
  Matrix memory;
  if (config::has_encoder(config_)) {
    memory = run_stack(embed(Stack::kEncoder, source), nullptr, {Stack::kEncoder, 0, sentence, source});
  }
  std::span<const float> first;
  if (config::is_mixture(config_) && config_.mixture.kind == config::MixtureKind::kBegin) {
    const auto width = static_cast<size_t>(config_.width);
    first = tensors_("mixture.begin").subspan(static_cast<size_t>(component(memory)) * width, width);
  }
  if (config_.begin_vector) first = tensors_("decoder.begin");
  return run_stack(embed(Stack::kDecoder, target, first), memory.empty() ? nullptr : &memory,
                   {Stack::kDecoder, 0, sentence, target});
}

std::vector<double> ReferenceModel::class_log_probs(std::span<const int32_t> tokens,
                                                    uint64_t sentence) const {
  std::vector<double> state = config::is_masked_lm(config_) ? states(tokens, sentence)[0]
                                                            : decoder_states({}, tokens, sentence).back();
  for (double& value : state) {
    if (config_.scale_output) value /= std::sqrt(static_cast<double>(config_.width));
  }
  Matrix hidden = linear({state}, "classifier.hidden", 0, config_.width);
  for (double& value : hidden[0]) value = std::tanh(value);
  std::vector<double> scores = linear(hidden, "classifier.output", 0, config_.classes)[0];
  double total = 0;
  for (const double score : scores) total += std::exp(score);
  for (double& score : scores) score -= std::log(total);
  return scores;
}

Matrix ReferenceModel::log_probs(std::span<const int32_t> source, std::span<const int32_t> target,
                                 uint64_t sentence) const {
  return output(decoder_states(source, target, sentence));
}

Matrix ReferenceModel::states(std::span<const int32_t> tokens, uint64_t sentence) const {
  using config::Stack;
  return run_stack(embed(Stack::kEncoder, tokens), nullptr, {Stack::kEncoder, 0, sentence, tokens});
}

Matrix ReferenceModel::log_probs_at(const Matrix& states) const {
  if (!config_.output_transform) return output(states);
  Matrix hidden = linear(states, "output_transform", 0, config_.width);
  for (auto& row : hidden) {
    for (double& value : row) value = act(value);
  }
  return output(norm_by(hidden, "output_transform_norm"));
}

Matrix ReferenceModel::output(const Matrix& states) const {
  const char* name = config::has_own_output(config_)  ? "output.weight"
                     : config::shares_inputs(config_) ? "embedding.weight"
                                                      : "target_embedding.weight";
  const auto output = tensors_(name);
  Matrix result;
  for (const auto& state : states) {
    std::vector<double> row(config_.target_vocabulary, 0.0);
    double total = 0;
    for (size_t v = 0; v < row.size(); ++v) {
      for (size_t c = 0; c < state.size(); ++c) row[v] += state[c] * output[v * state.size() + c];
      if (config_.scale_output) row[v] /= std::sqrt(static_cast<double>(state.size()));
      if (config_.output_bias) row[v] += tensors_("output.bias")[v];
      total += std::exp(row[v]);
    }
    for (double& v : row) v -= std::log(total);
    result.push_back(row);
  }
  return result;
}

}  // namespace megin::runtime
