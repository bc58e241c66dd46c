#include "net/initialisation.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/files.h"
#include "base/random.h"

namespace megin::net {
namespace {

constexpr int64_t kPadRow = 1;

struct Rule {
  enum class Kind { kConstant, kUniform, kNormal } kind;
  double scale = 0;   // the constant, the bound of the uniform, the deviation of the normal
  double middle = 0;  // of the normal
};

bool contains(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

// Bound of Glorot and Bengio's uniform initialisation for a [out, in] matrix.
double xavier_bound(int64_t in, int64_t out, double gain) {
  return gain * std::sqrt(6.0 / static_cast<double>(in + out));
}

bool starts_orthogonal(std::string_view name, const config::ModelConfig& config) {
  const config::RouterKind router = config.experts.router;
  return name.ends_with("router.centres") ||
         (name.ends_with("router.weight") &&
          (router == config::RouterKind::kBase || router == config::RouterKind::kDistilled));
}

// Of the feed-forward that a parameter belongs to.
int64_t inner_width(const Parameter& parameter, const config::ModelConfig& config) {
  const bool of_expert =
      parameter.experts > 0 || contains(parameter.name, ".inserted.") || contains(parameter.name, ".shared.");
  return of_expert ? config::expert_feed_forward(config) : config.feed_forward;
}

constexpr double kSmallDeviation = 0.02;

// What belongs to routers, experts inserted and mixtures begins as their papers say.
bool has_rule_of_its_own(std::string_view name) {
  return contains(name, "router.") || contains(name, ".inserted.") || name.starts_with("mixture.");
}

Rule rule_of_transformer_xl(std::string_view name) {
  if (contains(name, "norm.weight")) return {Rule::Kind::kNormal, kSmallDeviation, 1.0};
  if (contains(name, ".relative.")) return {Rule::Kind::kNormal, kSmallDeviation};
  if (name.ends_with(".bias")) return {Rule::Kind::kConstant, 0.0};
  return {Rule::Kind::kNormal, kSmallDeviation};
}

Rule rule_for(const Parameter& parameter, const config::ModelConfig& config) {
  const std::string_view name = parameter.name;
  if (config.initialisation == config::Initialisation::kNormal && !has_rule_of_its_own(name)) {
    return rule_of_transformer_xl(name);
  }
  const double d = static_cast<double>(config.width);
  const bool bias = name.ends_with(".bias");
  if (contains(name, "norm.")) return {Rule::Kind::kConstant, bias ? 0.0 : 1.0};
  if (name.ends_with("router.noise") || name.ends_with("router.bias") || name.ends_with("router.table")) {
    return {Rule::Kind::kConstant, 0.0};
  }
  if (name.ends_with("dropout.logit")) {
    return {Rule::Kind::kConstant, std::log(config.concrete_dropout / (1 - config.concrete_dropout))};
  }
  if (name.ends_with("router.kernel")) {  // as a convolution of five inputs (Dai et al.'s code)
    return {Rule::Kind::kUniform, 1.0 / std::sqrt(5.0)};
  }
  if (name.ends_with("router.symbols") || name.ends_with("router.centres")) {
    return {Rule::Kind::kNormal, 1.0};  // Dai et al. 2022; centres are made orthogonal
  }
  // The reduced scale of Fedus et al. 2021 (section 2.4), and an orthogonal start, made from a normal one,
  // for base (Lewis et al. 2021) and distilled (Dai et al. 2022).
  if (name.ends_with("router.weight") && config.experts.router == config::RouterKind::kFixed) {
    return {Rule::Kind::kNormal,
            kSmallDeviation};  // Chen et al.'s code; its bias is zero for ever, so there is none
  }
  if (name.ends_with("router.weight")) {
    return {Rule::Kind::kNormal, starts_orthogonal(name, config) ? 1.0 : std::sqrt(0.1 / d)};
  }
  if (contains(name, ".relative.")) return {Rule::Kind::kConstant, 0.0};
  const int64_t heads = config::attention_width(config);
  if (contains(name, "attention.output.")) {
    return bias ? Rule{Rule::Kind::kConstant, 0.0}
                : Rule{Rule::Kind::kUniform, xavier_bound(heads, config.width, 1.0)};
  }
  if (contains(name, "attention.")) {  // query, key and value are [heads, d] each, however they are stacked
    return {Rule::Kind::kUniform,
            bias ? 1.0 / std::sqrt(d) : xavier_bound(config.width, heads, 1.0 / std::sqrt(2.0))};
  }
  // Inserted experts begin as what they are given plus a small constant (Dai et al. 2022).
  if (contains(name, ".inserted.") && name.ends_with("fc2.weight")) return {Rule::Kind::kConstant, 0.0};
  if (name == "output.bias") return {Rule::Kind::kConstant, 0.0};
  if (contains(name, ".fc2.")) {
    return {Rule::Kind::kUniform, 1.0 / std::sqrt(static_cast<double>(inner_width(parameter, config)))};
  }
  if (contains(name, ".fc1.") || contains(name, ".gate.")) return {Rule::Kind::kUniform, 1.0 / std::sqrt(d)};
  // As torch's linear layers begin: fairseq's gate, and the head of Chen et al.'s code.
  if (contains(name, "mixture.prior.") || name.starts_with("output_transform.") ||
      name.starts_with("classifier.")) {
    return {Rule::Kind::kUniform, 1.0 / std::sqrt(d)};
  }
  // Embeddings, learned positions, an untied output, what decoders begin with.
  return {Rule::Kind::kNormal, 1.0 / std::sqrt(d)};
}

void fill(std::span<float> values, const Rule& rule, uint64_t key) {
  for (size_t i = 0; i < values.size(); ++i) {
    switch (rule.kind) {
      case Rule::Kind::kConstant:
        values[i] = static_cast<float>(rule.scale);
        break;
      case Rule::Kind::kUniform:
        values[i] = static_cast<float>((2.0 * draw_uniform(key, i) - 1.0) * rule.scale);
        break;
      case Rule::Kind::kNormal:
        values[i] = static_cast<float>(rule.middle + draw_normal(key, i) * rule.scale);
        break;
    }
  }
}

// Gram-Schmidt over the rows of [rows, columns], or over its columns where there are more rows than columns:
// they become orthogonal, with norm `gain`.
void make_orthogonal(std::span<float> values, int64_t rows, int64_t columns, double gain) {
  const bool by_row = rows <= columns;
  const int64_t vectors = by_row ? rows : columns, length = by_row ? columns : rows;
  const auto at = [&](int64_t vector, int64_t i) -> float& {
    return values[static_cast<size_t>(by_row ? vector * columns + i : i * columns + vector)];
  };
  const auto dot = [&](int64_t a, int64_t b) {
    double sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += static_cast<double>(at(a, i)) * at(b, i);
    return sum;
  };
  for (int64_t v = 0; v < vectors; ++v) {
    for (int64_t before = 0; before < v; ++before) {
      const double along = dot(v, before) / dot(before, before);
      for (int64_t i = 0; i < length; ++i) at(v, i) -= static_cast<float>(along * at(before, i));
    }
    const double scale = gain / std::sqrt(dot(v, v));
    for (int64_t i = 0; i < length; ++i) at(v, i) = static_cast<float>(scale * at(v, i));
  }
}

}  // namespace

void initialise(ParameterMemory& parameters, const config::ModelConfig& config, uint64_t seed) {
  for (const Parameter& parameter : parameters.all()) {
    const Rule rule = rule_for(parameter, config);
    const std::span<float> values = parameters.values_of(parameter);
    const int64_t parts = std::max<int64_t>(1, parameter.experts);
    const size_t size = values.size() / static_cast<size_t>(parts);
    for (int64_t part = 0; part < parts; ++part) {
      // Inserted experts all begin alike, as published (Dai et al. 2022).
      const bool alike = contains(parameter.name, ".inserted.") &&
                         config.experts.router != config::RouterKind::kFixed;  // which might never part them
      const uint64_t key = draw_key(seed, Purpose::kInitialisation,
                                    {checksum(parameter.name), alike ? 0 : static_cast<uint64_t>(part)});
      fill(values.subspan(static_cast<size_t>(part) * size, size), rule, key);
    }
    if (starts_orthogonal(parameter.name, config)) {
      constexpr double kGain = 0.1;
      make_orthogonal(values, parameter.shape[0], parameter.shape[1], kGain);
    }
    if (parameter.name.ends_with("embedding.weight") || parameter.name.ends_with("router.symbols")) {
      const auto columns = static_cast<size_t>(parameter.shape[1]);
      const auto row = values.subspan(kPadRow * columns, columns);
      std::fill(row.begin(), row.end(), 0.0f);
    }
  }
}

}  // namespace megin::net
