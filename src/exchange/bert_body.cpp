#include "exchange/bert_body.h"

#include <fmt/format.h>

namespace megin::exchange {
namespace {

void add_layer(const std::string& prefix, int64_t layer, std::vector<Link>& links) {
  const std::string ours = fmt::format("encoder.layers.{}.", layer),
                    theirs = fmt::format("{}encoder.layer.{}.", prefix, layer),
                    self = theirs + "attention.self.";
  add_links(ours + "self_attention.query_key_value", {self + "query", self + "key", self + "value"}, links);
  add_links(ours + "self_attention.output", {theirs + "attention.output.dense"}, links);
  add_links(ours + "self_attention.norm", {theirs + "attention.output.LayerNorm"}, links);
  add_links(ours + "feed_forward.fc1", {theirs + "intermediate.dense"}, links);
  add_links(ours + "feed_forward.fc2", {theirs + "output.dense"}, links);
  add_links(ours + "feed_forward.norm", {theirs + "output.LayerNorm"}, links);
}

void require_known(const TheirSettings& theirs) {
  theirs.require<std::string>("position_embedding_type", "absolute", "absolute");
  theirs.require("is_decoder", false, false);
  theirs.require("add_cross_attention", false, false);
  theirs.require("tie_word_embeddings", true, true);
}

}  // namespace

void add_links(const std::string& ours, const std::vector<std::string>& theirs, std::vector<Link>& links) {
  for (const char* const part : {".weight", ".bias"}) {
    Link link{.ours = ours + part, .theirs = {}};
    for (const std::string& name : theirs) link.theirs.push_back(name + part);
    links.push_back(std::move(link));
  }
}

BertBody body_of(const TheirSettings& theirs, const std::string& stem, const std::string& prefix) {
  const std::string named = theirs.architecture(stem + "ForMaskedLM");
  if (named == stem + "Model") return {.prefix = "", .head = BertHead::kNone};
  if (named == stem + "ForSequenceClassification") return {.prefix = prefix, .head = BertHead::kClasses};
  if (named != stem + "ForMaskedLM" && named != stem + "ForPreTraining") {
    theirs.refuse(
        "architectures",
        fmt::format("{0}Model, {0}ForMaskedLM, {0}ForPreTraining or {0}ForSequenceClassification", stem),
        named);
  }
  return {.prefix = prefix};
}

void add_body(const TheirSettings& theirs, const BertBody& body, Plan& plan) {
  require_known(theirs);
  config::ModelConfig& model = plan.model;
  config::apply_model_preset(model, "tiny_mlm");
  model.width = theirs.number("hidden_size", 768);
  model.feed_forward = theirs.number("intermediate_size", 3072);
  model.heads = theirs.number("num_attention_heads", 12);
  model.encoder_layers = theirs.number("num_hidden_layers", 12);
  model.max_length = theirs.number("max_position_embeddings", 512) - body.first_position;
  model.activation = theirs.activation("hidden_act", "gelu");
  model.norm_epsilon = theirs.real("layer_norm_eps", 1e-12);
  model.dropout = theirs.real("hidden_dropout_prob", 0.1);
  model.attention_dropout = theirs.real("attention_probs_dropout_prob", 0.1);
  model.output_transform = model.output_bias = body.head == BertHead::kTokens;
  if (body.head == BertHead::kClasses) plan.classes = theirs.classes();
  model.classes = static_cast<int64_t>(plan.classes.size());
  // What an export keeps may be of the body alone that a classifier was trained from.
  if (body.head == BertHead::kClasses) plan.optional_prefix = body.prefix;
  theirs.check(model);
  const int64_t segments = theirs.number("type_vocab_size", 2), d = model.width;
  if (segments < 1) theirs.refuse("type_vocab_size", "1 or more", std::to_string(segments));

  const std::string embeddings = body.prefix + "embeddings.",
                    types = embeddings + "token_type_embeddings.weight";
  plan.links.push_back({.ours = "embedding.weight",
                        .theirs = {embeddings + "word_embeddings.weight"},
                        .form = Form::kSymbols});
  plan.links.push_back({.ours = "encoder.positions.weight",
                        .theirs = {embeddings + "position_embeddings.weight"},
                        .skipped = body.first_position,
                        .added = types});
  add_links("embedding_norm", {embeddings + "LayerNorm"}, plan.links);
  for (int64_t layer = 0; layer < model.encoder_layers; ++layer) add_layer(body.prefix, layer, plan.links);
  plan.kept = {{.name = types, .shape = {segments, d}}};
  if (body.keeps_pooler) {
    const std::string pooler = body.prefix + "pooler.dense.";
    plan.kept.push_back({.name = pooler + "weight", .shape = {d, d}, .optional = true});
    plan.kept.push_back({.name = pooler + "bias", .shape = {d}, .optional = true});
  }
  plan.older_ends = {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}};
  plan.passed_over = {"embeddings.position_ids", "embeddings.token_type_ids"};  // 0, 1, 2 ...; 0, 0, 0 ...
}

}  // namespace megin::exchange
