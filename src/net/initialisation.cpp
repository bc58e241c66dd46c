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
  double scale = 0;  // the constant, the bound of the uniform, the deviation of the normal
};

bool contains(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

// Bound of Glorot and Bengio's uniform initialisation for a [out, in] matrix.
double xavier_bound(int64_t in, int64_t out, double gain) {
  return gain * std::sqrt(6.0 / static_cast<double>(in + out));
}

Rule rule_for(std::string_view name, const config::ModelConfig& config) {
  const double d = static_cast<double>(config.width);
  const bool bias = name.ends_with(".bias");
  if (contains(name, "norm.")) return {Rule::Kind::kConstant, bias ? 0.0 : 1.0};
  if (contains(name, "attention.output.")) {
    return bias ? Rule{Rule::Kind::kConstant, 0.0}
                : Rule{Rule::Kind::kUniform, xavier_bound(config.width, config.width, 1.0)};
  }
  if (contains(name, "attention.")) {  // query, key and value are [d, d] each, however they are stacked
    return {Rule::Kind::kUniform,
            bias ? 1.0 / std::sqrt(d) : xavier_bound(config.width, config.width, 1.0 / std::sqrt(2.0))};
  }
  if (contains(name, ".feed_forward.fc2.")) {
    return {Rule::Kind::kUniform, 1.0 / std::sqrt(static_cast<double>(config.feed_forward))};
  }
  if (contains(name, ".feed_forward.")) return {Rule::Kind::kUniform, 1.0 / std::sqrt(d)};
  return {Rule::Kind::kNormal, 1.0 / std::sqrt(d)};  // embeddings, learned positions, an untied output
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
        values[i] = static_cast<float>(draw_normal(key, i) * rule.scale);
        break;
    }
  }
}

}  // namespace

void initialise(ParameterMemory& parameters, const config::ModelConfig& config, uint64_t seed) {
  for (const Parameter& parameter : parameters.all()) {
    const Rule rule = rule_for(parameter.name, config);
    const std::span<float> values = parameters.values_of(parameter);
    const int64_t parts = std::max<int64_t>(1, parameter.experts);
    const size_t size = values.size() / static_cast<size_t>(parts);
    for (int64_t part = 0; part < parts; ++part) {
      const uint64_t key =
          draw_key(seed, Purpose::kInitialisation, {checksum(parameter.name), static_cast<uint64_t>(part)});
      fill(values.subspan(static_cast<size_t>(part) * size, size), rule, key);
    }
    if (parameter.name.ends_with("embedding.weight")) {
      const auto row = values.subspan(kPadRow * config.width, config.width);
      std::fill(row.begin(), row.end(), 0.0f);
    }
  }
}

}  // namespace megin::net
