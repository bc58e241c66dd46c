#include "config/computed_part.h"

namespace megin::config {

ModelConfig computed_part(ModelConfig config) {
  const ModelConfig standard;
  config.preset = standard.preset;
  config.initialisation = standard.initialisation;
  config.dropout = config.attention_dropout = config.activation_dropout = 0.0;
  config.group_dropout = {};
  config.concrete_dropout = 0.0;
  if (config.head_width > 0 && attention_width(config) == config.width) config.head_width = 0;
  // A recipe of a dense control keeps them, so that it differs from the others in the method alone.
  if (config.experts.count == 1 && config.experts.body == ExpertBody::kReplace) config.experts = {};
  return config;
}

}  // namespace megin::config
