#include "config/model_config.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/enums.h"
#include "config/nearest.h"
#include "config/require.h"

namespace megin::config {
namespace {

// Fields that are the same in all presets of a kind are set in apply_model_preset.
struct Preset {
  std::string_view name;
  ModelKind kind;
  int64_t width, feed_forward, heads, encoder_layers, decoder_layers;
  double dropout;
  int64_t max_length;
};

// Translation: fairseq's transformer_iwslt_de_en, transformer, transformer_vaswani_wmt_en_de_big; the tiny
// one of Wu et al. 2021 for Multi30k; multilingual as Zuo et al. 2022. small is ours, for laptops. Language
// models: base_lm and large_lm as Dai et al. 2022 (Table 7); tiny_lm is ours. Transformer-XL over bytes as in
// Chen et al. 2023 (smoe_dropout spec 2.1, 2.2); the tiny one is ours. Masked language models: bert-base with
// twice its feed-forward and roberta-base, as Chen et al. 2023 (smoe_dropout spec 2.3); tiny_mlm is ours.
constexpr auto kTranslate = ModelKind::kEncoderDecoder;
constexpr auto kGoOn = ModelKind::kCausalLm;
constexpr auto kRestore = ModelKind::kMaskedLm;
constexpr Preset kPresets[] = {
    {"tiny", kTranslate, 128, 256, 4, 4, 4, 0.3, 1024},
    {"small", kTranslate, 256, 512, 4, 3, 3, 0.3, 1024},
    {"iwslt", kTranslate, 512, 1024, 4, 6, 6, 0.3, 1024},
    {"base", kTranslate, 512, 2048, 8, 6, 6, 0.1, 1024},
    {"big", kTranslate, 1024, 4096, 16, 6, 6, 0.3, 1024},
    {"multilingual", kTranslate, 768, 3072, 12, 12, 6, 0.1, 1024},
    {"tiny_lm", kGoOn, 128, 512, 4, 0, 4, 0.0, 128},
    {"base_lm", kGoOn, 768, 3072, 12, 0, 12, 0.0, 1024},
    {"large_lm", kGoOn, 1024, 4096, 16, 0, 24, 0.0, 1024},
    {"transformer_xl", kGoOn, 256, 8192, 8, 0, 4, 0.1, 512},
    {"transformer_xl_8", kGoOn, 256, 512, 8, 0, 8, 0.1, 512},
    {"transformer_xl_12", kGoOn, 256, 512, 8, 0, 12, 0.1, 512},
    {"tiny_transformer_xl", kGoOn, 128, 2048, 2, 0, 4, 0.1, 128},
    {"tiny_mlm", kRestore, 128, 512, 4, 4, 0, 0.1, 128},
    {"bert", kRestore, 768, 6144, 12, 12, 0, 0.1, 512},
    {"roberta", kRestore, 768, 3072, 12, 12, 0, 0.1, 512},
};

void require_rate(double rate, std::string_view path) {
  require(rate >= 0.0 && rate < 1.0, path, "a probability from 0 to below 1", rate);
}

void check_experts(const ModelConfig& c) {
  const ExpertConfig& e = c.experts;
  require(e.count >= 1, "model.experts.count", "1 (dense) or more", e.count);
  require(e.every >= 1, "model.experts.every", "1 or more", e.every);
  require(e.offset >= 0 && e.offset < e.every, "model.experts.offset",
          fmt::format("from 0 to below model.experts.every ({})", e.every), e.offset);
  require(e.until >= 0, "model.experts.until", "0 (any layer) or more", e.until);
  require(e.sublayers >= 1, "model.experts.sublayers", "1 or more", e.sublayers);
  require(e.feed_forward >= 0, "model.experts.feed_forward", "0 (model.feed_forward) or more",
          e.feed_forward);
  require(e.layers >= 1, "model.experts.layers", "1 or more", e.layers);
  require(!e.shared || e.count > 1, "model.experts.shared", "false where there is one expert anyway",
          e.shared);
  if (e.body == ExpertBody::kInsert) {
    const int64_t least = is_language_model(c) ? c.encoder_layers + c.decoder_layers
                                               : std::min(c.encoder_layers, c.decoder_layers);
    require(e.until == 0, "model.experts.until", "0 for model.experts.body insert", e.until);
    require(e.layers < least, "model.experts.layers",
            fmt::format("less than the layers of a stack ({}), between which they stand", least), e.layers);
  } else {
    require(e.sublayers == 1, "model.experts.sublayers", "1 for model.experts.body replace", e.sublayers);
    require(e.count == 1 || count_expert_layers(c) > 0, "model.experts.offset",
            "an index that a layer has, or the model has no expert layer", e.offset);
  }
}

void check_router(const ModelConfig& c) {
  const ExpertConfig& e = c.experts;
  if (e.count == 1) return;
  const std::string_view router = enum_name(e.router), gate = enum_name(e.gate);
  require(e.active >= 1 && e.active <= e.count, "model.experts.active",
          fmt::format("from 1 to model.experts.count ({})", e.count), e.active);
  const bool by_position = e.router == RouterKind::kHash && e.hash == HashTable::kPosition;
  const bool draws_several = e.router == RouterKind::kUniform || by_position;
  require(
      e.active == 1 || is_elastic(e.router) || e.router == RouterKind::kExpertChoice || draws_several,
      "model.experts.active",
      fmt::format("1 for the router {}{}", router,
                  e.router == RouterKind::kHash ? " by symbol (model.experts.hash position takes more)" : ""),
      e.active);
  require(e.hash != HashTable::kPosition || e.router == RouterKind::kHash, "model.experts.hash",
          fmt::format("balanced, its default, for the router {}", router), enum_name(e.hash));
  require(!e.scales || is_elastic(e.router), "model.experts.scales",
          fmt::format("false for the router {}", router), e.scales);
  require(e.router != RouterKind::kExpertChoice || e.gate == Gate::kSoftmax, "model.experts.gate",
          "softmax for the router expert_choice", gate);
  require(e.router != RouterKind::kExpertChoice || !is_causal_lm(c), "model.experts.router",
          "another one in a causal_lm: experts that choose tokens look at what is still to come", router);
  require(e.distilled_input == DistilledInput::kWord || e.router == RouterKind::kDistilled,
          "model.experts.distilled_input", fmt::format("word for the router {}", router),
          enum_name(e.distilled_input));
  if (draws_several && e.active > 1) {
    require(e.gate == Gate::kMean || (e.gate == Gate::kSoftmaxOfChosen && !by_position), "model.experts.gate",
            fmt::format("mean{} for several experts of the router {}",
                        by_position ? "" : " or softmax_of_chosen", router),
            gate);
  } else {
    require(e.gate == Gate::kNone || has_scores(e.router), "model.experts.gate",
            fmt::format("none for the router {}, which has no scores", router), gate);
  }
  require(e.gate != Gate::kSoftmaxOfChosen || e.active > 1 || !is_learned(e.router), "model.experts.gate",
          "softmax, sigmoid or none for one expert a token: over one, a softmax is 1", gate);
  require(e.distilled_width >= 1, "model.experts.distilled_width", "1 or more", e.distilled_width);
  require(!e.noisy || e.router == RouterKind::kTopK, "model.experts.noisy",
          fmt::format("false for the router {}", router), e.noisy);
  require(!e.biased || e.router == RouterKind::kTopK, "model.experts.biased",
          fmt::format("false for the router {}", router), e.biased);
  require(e.router != RouterKind::kFixed || e.gate != Gate::kNone, "model.experts.gate",
          "softmax_of_chosen, softmax, sigmoid or mean for the router fixed", gate);
  require(!is_learned(e.router) || (e.gate != Gate::kNone && e.gate != Gate::kMean), "model.experts.gate",
          fmt::format("softmax or sigmoid for the router {}: without a gate nothing trains it", router),
          gate);
  require(e.router != RouterKind::kSentence || !is_causal_lm(c), "model.experts.router",
          "another one in a causal_lm: the mean of a text looks at what is still to come", router);
}

void check_mixture(const ModelConfig& c) {
  require(c.mixture.components >= 1, "model.mixture.components", "1 (no mixture) or more",
          c.mixture.components);
  if (!is_mixture(c)) return;
  require(!is_language_model(c), "model.mixture.components",
          fmt::format("1 in a {}: it is of translations", enum_name(c.kind)), c.mixture.components);
  require(c.experts.count == 1 && c.experts.body == ExpertBody::kReplace, "model.mixture.components",
          "1 in a model with expert layers", c.mixture.components);
}

// What all of Chen et al.'s Transformer-XLs have in common.
void make_transformer_xl(ModelConfig& config) {
  config.norm_position = NormPosition::kPost;
  config.positions = Positions::kRelative;
  config.initialisation = Initialisation::kNormal;
  config.output_bias = true;
  config.activation_dropout = config.dropout;
  config.memory = config.max_length;
  config.evaluation_block = config.max_length / 4;
  config.head_width = 64;
}

// What BERT and RoBERTa have in common (Devlin et al. 2019, Liu et al. 2019; the values of their published
// base configurations).
void make_masked_lm(ModelConfig& config) {
  config.norm_position = NormPosition::kPost;
  config.positions = Positions::kLearned;
  config.activation = Activation::kGelu;
  config.attention_dropout = config.dropout;
  config.initialisation = Initialisation::kNormal;
  config.scale_embeddings = false;
  config.norm_embeddings = true;
  config.output_transform = true;
  config.output_bias = true;
}

void check_buckets(const ModelConfig& c) {
  const ModelConfig standard;
  if (c.positions != Positions::kBucketed) {
    const auto unread = [](int64_t wanted) {
      return fmt::format("{}, its default, unless model.positions is bucketed", wanted);
    };
    require(c.position_buckets == standard.position_buckets, "model.position_buckets",
            unread(standard.position_buckets), c.position_buckets);
    require(c.position_distance == standard.position_distance, "model.position_distance",
            unread(standard.position_distance), c.position_distance);
    return;
  }
  require(c.position_buckets >= 4 && c.position_buckets % 2 == 0, "model.position_buckets",
          "an even number from 4 on", c.position_buckets);
  require(c.position_distance > c.position_buckets / 2, "model.position_distance",
          fmt::format("more than half of model.position_buckets ({}), each of which holds one distance",
                      c.position_buckets),
          c.position_distance);
}

void check_attention(const ModelConfig& c) {
  require(c.heads > 0 && (c.head_width > 0 || c.width % c.heads == 0), "model.heads",
          fmt::format("a number that divides model.width ({})", c.width), c.heads);
  require(c.head_width >= 0, "model.head_width", "0 (model.width / model.heads) or more", c.head_width);
  require(c.positions != Positions::kRotary || width_of_head(c) % 2 == 0, "model.heads",
          fmt::format("heads of an even width (model.width {} / heads) for rotary positions", c.width),
          c.heads);
  require(c.positions != Positions::kSinusoidal || c.width >= 4, "model.width",
          "4 or more for sinusoidal positions", c.width);
  check_buckets(c);
  require(c.memory >= 0, "model.memory", "0 or more", c.memory);
  if (!has_memory(c)) {
    require(c.memory == 0, "model.memory", "0 unless model.positions is relative", c.memory);
    require(c.evaluation_block == 0, "model.evaluation_block", "0 unless model.positions is relative",
            c.evaluation_block);
    return;
  }
  require(is_causal_lm(c), "model.positions",
          fmt::format("another kind in a model.kind {}, which reads no segments", enum_name(c.kind)),
          enum_name(c.positions));
  require(c.evaluation_block >= 0 && c.evaluation_block <= c.max_length, "model.evaluation_block",
          fmt::format("0 to model.max_length ({})", c.max_length), c.evaluation_block);
}

void check_classifier(const ModelConfig& c) {
  require(c.classes == 0 || c.classes >= 2, "model.classes", "0, or 2 or more", c.classes);
  if (!is_classifier(c)) return;
  require(is_language_model(c), "model.classes",
          "0 in an encoder_decoder; a classifier is a language model with a head", c.classes);
  require(c.max_length >= 3, "model.max_length",
          "3 or more in a classifier: a sentence has a mark on either side", c.max_length);
}

void check_unit_dropout(const ModelConfig& c) {
  require(c.group_dropout.groups >= 0 && c.group_dropout.groups <= c.feed_forward,
          "model.group_dropout.groups",
          fmt::format("from 0 (off) to model.feed_forward ({})", c.feed_forward), c.group_dropout.groups);
  require_rate(c.group_dropout.rate, "model.group_dropout.rate");
  require_rate(c.concrete_dropout, "model.concrete_dropout");
  const bool dense = c.experts.count == 1 && c.experts.body == ExpertBody::kReplace;
  require(dense || c.group_dropout.groups == 0, "model.group_dropout.groups",
          "0 in a model of experts, or with inserted layers: it is of dense models", c.group_dropout.groups);
  require(dense || c.concrete_dropout == 0.0, "model.concrete_dropout",
          "0 in a model of experts, or with inserted layers: it is of dense models", c.concrete_dropout);
  require(c.group_dropout.groups > 0 || c.group_dropout.rate == GroupDropoutConfig{}.rate,
          "model.group_dropout.rate",
          fmt::format("{}, as model.group_dropout.groups is 0", GroupDropoutConfig{}.rate),
          c.group_dropout.rate);
}

// Which stacks have layers, and what stands beside them.
void check_kind(const ModelConfig& c) {
  const std::string_view kind = enum_name(c.kind);
  if (has_encoder(c)) {
    require(c.encoder_layers > 0, "model.encoder_layers", "a positive number", c.encoder_layers);
  } else {
    require(c.encoder_layers == 0, "model.encoder_layers", "0 in a causal_lm, which has no encoder",
            c.encoder_layers);
  }
  if (has_decoder(c)) {
    require(c.decoder_layers > 0, "model.decoder_layers", "a positive number", c.decoder_layers);
  } else {
    require(c.decoder_layers == 0, "model.decoder_layers", "0 in a masked_lm, which has no decoder",
            c.decoder_layers);
  }
  require(!c.norm_embeddings || has_encoder(c), "model.norm_embeddings",
          "false in a causal_lm, as the norm is over what the encoder reads", c.norm_embeddings);
  require(!c.begin_vector || !is_language_model(c), "model.begin_vector",
          fmt::format("false in a {}, whose texts begin with a symbol", kind), c.begin_vector);
  if (is_masked_lm(c)) {
    require(c.share_embeddings != ShareEmbeddings::kDecoder, "model.share_embeddings",
            "all (one matrix for input and output) or none in a masked_lm", enum_name(c.share_embeddings));
    require(c.source_vocabulary == c.target_vocabulary, "model.target_vocabulary",
            fmt::format("that of the source ({}) in a masked_lm", c.source_vocabulary), c.target_vocabulary);
    require(!c.output_transform || !is_gated(c.activation), "model.output_transform",
            fmt::format("false with the gated activation {}", enum_name(c.activation)), c.output_transform);
    require(!c.scale_output, "model.scale_output", "false in a masked_lm", c.scale_output);
    return;
  }
  require(!c.output_transform, "model.output_transform", fmt::format("false in a {}", kind),
          c.output_transform);
}

}  // namespace

void apply_model_preset(ModelConfig& config, std::string_view name) {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) {
    names.emplace_back(preset.name);
    if (preset.name != name) continue;
    config.preset = preset.name;
    config.width = preset.width;
    config.feed_forward = preset.feed_forward;
    config.heads = preset.heads;
    config.encoder_layers = preset.encoder_layers;
    config.decoder_layers = preset.decoder_layers;
    config.dropout = preset.dropout;
    config.max_length = preset.max_length;
    config.kind = preset.kind;
    const bool language_model = preset.kind == ModelKind::kCausalLm;
    config.norm_position = language_model ? NormPosition::kPre : NormPosition::kPost;
    config.positions = language_model ? Positions::kLearned : Positions::kSinusoidal;
    if (preset.name.find("transformer_xl") != std::string_view::npos) make_transformer_xl(config);
    if (preset.kind == ModelKind::kMaskedLm) make_masked_lm(config);
    if (preset.name == "bert") config.norm_epsilon = 1e-12;
    return;
  }
  fail_usage("model.preset: no preset '{}'{} wanted one of {}", name,
             nearest(name, names).empty() ? ";" : did_you_mean(name, names), fmt::join(names, ", "));
}

void check(const ModelConfig& c) {
  require(c.width > 0 && c.width % 2 == 0, "model.width", "a positive even number", c.width);
  require(c.feed_forward > 0, "model.feed_forward", "a positive number", c.feed_forward);
  check_kind(c);
  require_rate(c.dropout, "model.dropout");
  require_rate(c.attention_dropout, "model.attention_dropout");
  require_rate(c.activation_dropout, "model.activation_dropout");
  require(c.norm_epsilon > 0.0, "model.norm_epsilon", "a positive number", c.norm_epsilon);
  require(c.max_length >= 2, "model.max_length", "2 or more", c.max_length);
  require(c.source_vocabulary >= 0, "model.source_vocabulary", "0 or more", c.source_vocabulary);
  require(c.target_vocabulary >= 0, "model.target_vocabulary", "0 or more", c.target_vocabulary);
  require(!shares_inputs(c) || c.source_vocabulary == c.target_vocabulary, "model.target_vocabulary",
          fmt::format("that of the source ({}), as share_embeddings is {}", c.source_vocabulary,
                      enum_name(c.share_embeddings)),
          c.target_vocabulary);
  check_attention(c);
  require(!c.begin_vector || !is_mixture(c), "model.begin_vector",
          "false in a mixture, whose components have vectors or decoders of their own", c.begin_vector);
  check_experts(c);
  check_router(c);
  check_mixture(c);
  check_unit_dropout(c);
  check_classifier(c);
}

}  // namespace megin::config
