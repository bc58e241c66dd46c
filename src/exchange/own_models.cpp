#include "exchange/own_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "config/enums.h"
#include "exchange/gpt2.h"
#include "exchange/plan.h"
#include "store/sinusoid.h"
#include "text/byte_pair.h"
#include "text/subword.h"
#include "text/vocabulary.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;
using config::ModelConfig;
using config::Positions;
using nlohmann::ordered_json;

// Nothing tells a model that was trained from an imported one from a model of megin's own.
constexpr const char* kNameTheFiles =
    "for a model that was trained from an imported one, --files names that one's imported/ or checkpoint";

// Refuses a setting that `kind` has otherwise.
class Demands {
 public:
  Demands(const store::ModelDirectory& model, std::string kind)
      : path_(model.path.string()), kind_(std::move(kind)) {}

  template <typename T>
  void setting(const std::string& key, bool right, std::string_view wanted, const T& found) const {
    if (right) return;
    fail_usage("{}: model.{}: wanted {}, as {} models of transformers have it, found {}; {}", path_, key,
               wanted, kind_, found, kNameTheFiles);
  }
  [[noreturn]] void refuse(const std::string& wanted) const {
    fail_usage("{}: wanted {}; {}", path_, wanted, kNameTheFiles);
  }
  void no_experts(const ModelConfig& model) const {
    if (model.experts.count == 1 && model.experts.body == config::ExpertBody::kReplace) return;
    fail_usage("{}: {}", path_, wanted_no_experts(kind_));
  }

 private:
  std::string path_, kind_;
};

// What both architectures demand.
void check_common(const ModelConfig& model, const Demands& demands) {
  if (config::is_mixture(model)) demands.refuse("one model, found a mixture of translations");
  demands.no_experts(model);
  demands.setting("norm", model.norm == config::NormKind::kLayerNorm, "layer_norm",
                  config::enum_name(model.norm));
  demands.setting("activation", !config::is_gated(model.activation), "one without a gate",
                  config::enum_name(model.activation));
  demands.setting("head_width", config::attention_width(model) == model.width, "model.width / model.heads",
                  model.head_width);
  demands.setting("share_embeddings", model.share_embeddings == config::ShareEmbeddings::kAll, "all",
                  config::enum_name(model.share_embeddings));
  demands.setting("norm_embeddings", !model.norm_embeddings, "false", model.norm_embeddings);
  demands.setting("biases", model.biases, "true", model.biases);
  demands.setting("scale_attention", model.scale_attention, "true", model.scale_attention);
  demands.setting("scale_output", !model.scale_output, "false", model.scale_output);
}

const char* their_activation(config::Activation activation) {
  switch (activation) {
    case config::Activation::kRelu:
      return "relu";
    case config::Activation::kGelu:
      return "gelu";
    case config::Activation::kSilu:
      return "silu";
    case config::Activation::kGeluTanh:
      return "gelu_new";
    case config::Activation::kReglu:
    case config::Activation::kGeglu:
    case config::Activation::kSwiglu:
    case config::Activation::kGegluTanh:
      break;
  }
  fail("no activation of transformers is meant");
}

void write_json(const fs::path& file, const ordered_json& json) {
  write_file_atomically(file, json.dump(2) + "\n");
}

ForeignForm copy_of(const store::ModelDirectory& model) {
  ForeignForm form{.model = model.description.model, .tensors = {}};
  for (const store::TensorView& tensor : model.weights.tensors()) {
    const auto values = store::float_values(tensor);
    form.tensors.push_back(
        {.name = tensor.name, .shape = tensor.shape, .values = {values.begin(), values.end()}});
  }
  return form;
}

void add(ForeignForm& form, const std::string& name, std::vector<int64_t> shape, std::vector<float> values) {
  form.tensors.push_back({.name = name, .shape = std::move(shape), .values = std::move(values)});
}

// The biases of all symbols are 0 where there are none.
void add_output_bias(ForeignForm& form) {
  if (form.model.output_bias) return;
  const int64_t symbols = form.model.target_vocabulary;
  add(form, "output.bias", {symbols}, std::vector<float>(static_cast<size_t>(symbols)));
  form.model.output_bias = true;
}

// Symbols of an imported GPT-2 that it does not have can never come (kNever), and need no row.
bool can_come(const ForeignForm& form, int32_t id) {
  const auto bias = std::ranges::find(form.tensors, "output.bias", &store::FloatTensor::name);
  return bias == form.tensors.end() || bias->values[static_cast<size_t>(id)] > kNever;
}

ForeignForm describe_gpt2(const store::ModelDirectory& directory, const fs::path& folder) {
  const ModelConfig& model = directory.description.model;
  const Demands demands(directory, "gpt2");
  check_common(model, demands);
  demands.setting("norm_position", model.norm_position == config::NormPosition::kPre, "pre",
                  config::enum_name(model.norm_position));
  demands.setting("positions", model.positions == Positions::kLearned, "learned",
                  config::enum_name(model.positions));
  demands.setting("scale_embeddings", !model.scale_embeddings, "false", model.scale_embeddings);
  const std::string subword = read_file(directory.subwords.target);
  if (!text::is_byte_pair_file(subword)) {
    demands.refuse(
        "a vocabulary of byte pairs, the only one that gpt2 models of transformers have, found another "
        "(such a vocabulary comes from megin import of one, data.subword.model)");
  }
  const text::BytePairTables tables =
      text::read_byte_pair_tables(subword, directory.subwords.target.string());

  ForeignForm form = copy_of(directory);
  ordered_json vocabulary;
  for (const std::string& piece : tables.pieces) vocabulary[piece] = vocabulary.size();
  const size_t end = vocabulary.size();
  vocabulary[tables.end] = end;
  for (const int32_t id : {text::kBeginId, text::kPadId, text::kUnknownId}) {
    if (can_come(form, id)) vocabulary[kSpecialPieces[static_cast<size_t>(id)]] = vocabulary.size();
  }
  write_file_atomically(folder / "vocab.json", vocabulary.dump() + "\n");
  std::string merges = "#version: 0.2\n";
  for (const auto& [left, right] : tables.merges) merges += fmt::format("{} {}\n", left, right);
  write_file_atomically(folder / "merges.txt", merges);
  write_json(folder / "config.json", {{"model_type", "gpt2"},
                                      {"architectures", {"GPT2LMHeadModel"}},
                                      {"n_embd", model.width},
                                      {"n_inner", model.feed_forward},
                                      {"n_head", model.heads},
                                      {"n_layer", model.decoder_layers},
                                      {"n_positions", model.max_length},
                                      {"vocab_size", vocabulary.size()},
                                      {"activation_function", their_activation(model.activation)},
                                      {"layer_norm_epsilon", model.norm_epsilon},
                                      {"resid_pdrop", model.dropout},
                                      {"embd_pdrop", model.dropout},
                                      {"attn_pdrop", model.attention_dropout},
                                      {"scale_attn_weights", true},
                                      {"scale_attn_by_inverse_layer_idx", false},
                                      {"tie_word_embeddings", true},
                                      {"bos_token_id", end},
                                      {"eos_token_id", end},
                                      {"torch_dtype", "float32"}});
  add_output_bias(form);
  return form;
}

// SentencePiece, one model for both sides, and no tags: transformers' tokenizer splits "<2de>".
text::SubwordModel marian_subwords(const store::ModelDirectory& directory, const Demands& demands) {
  if (!directory.subwords.joint()) {
    demands.refuse("one vocabulary for both sides, found two");
  }
  const std::string bytes = read_file(directory.subwords.source);
  text::SubwordModel subword(directory.subwords.source);
  if (subword.byte_vocabulary() != nullptr || text::is_byte_pair_file(bytes)) {
    demands.refuse("a SentencePiece vocabulary, as marian models of transformers have it, found another");
  }
  if (!directory.description.tags.empty()) {
    demands.refuse(
        fmt::format("a model without tags of target languages, which marian models of transformers write as "
                    ">>de<<, found "
                    "{}",
                    fmt::join(directory.description.tags, ", ")));
  }
  return subword;
}

void write_marian_tokenizer(const store::ModelDirectory& directory, const text::SubwordModel& subword,
                            const fs::path& folder) {
  ordered_json vocabulary;
  for (int32_t id = 0; id < subword.size(); ++id) vocabulary[subword.piece(id)] = id;
  if (static_cast<int64_t>(vocabulary.size()) != subword.size()) {
    fail_usage("{}: wanted a vocabulary whose pieces are all different, found one twice",
               directory.path.string());
  }
  write_file_atomically(folder / "vocab.json", vocabulary.dump() + "\n");
  for (const char* const file : {"source.spm", "target.spm"}) {
    write_file_atomically(folder / file, subword.bytes());
  }
  write_json(folder / "tokenizer_config.json",
             {{"tokenizer_class", "MarianTokenizer"},
              {"source_lang", directory.description.source_language},
              {"target_lang", directory.description.target_language},
              {"model_max_length", directory.description.model.max_length}});
}

void add_positions(ForeignForm& form) {
  if (form.model.positions == Positions::kLearned) return;
  const int64_t length = form.model.max_length, width = form.model.width;
  const std::vector<float> table = store::sinusoidal_positions(length, width);
  for (const char* const stack : {"encoder", "decoder"}) {
    add(form, fmt::format("{}.positions.weight", stack), {length, width}, table);
  }
  form.model.positions = Positions::kLearned;
}

ForeignForm describe_marian(const store::ModelDirectory& directory, const fs::path& folder) {
  const ModelConfig& model = directory.description.model;
  const Demands demands(directory, "marian");
  check_common(model, demands);
  demands.setting("norm_position", model.norm_position == config::NormPosition::kPost, "post",
                  config::enum_name(model.norm_position));
  demands.setting("positions",
                  model.positions == Positions::kLearned || model.positions == Positions::kSinusoidal,
                  "sinusoidal or learned", config::enum_name(model.positions));
  demands.setting("norm_epsilon", model.norm_epsilon == 1e-5, "1e-05", model.norm_epsilon);
  demands.setting("begin_vector", !model.begin_vector, "false in a model that was not imported", true);
  const text::SubwordModel subword = marian_subwords(directory, demands);
  write_marian_tokenizer(directory, subword, folder);
  write_json(folder / "config.json", {{"model_type", "marian"},
                                      {"architectures", {"MarianMTModel"}},
                                      {"is_encoder_decoder", true},
                                      {"d_model", model.width},
                                      {"encoder_layers", model.encoder_layers},
                                      {"decoder_layers", model.decoder_layers},
                                      {"encoder_ffn_dim", model.feed_forward},
                                      {"decoder_ffn_dim", model.feed_forward},
                                      {"encoder_attention_heads", model.heads},
                                      {"decoder_attention_heads", model.heads},
                                      {"max_position_embeddings", model.max_length},
                                      {"vocab_size", subword.size()},
                                      {"decoder_vocab_size", subword.size()},
                                      {"activation_function", their_activation(model.activation)},
                                      {"scale_embedding", model.scale_embeddings},
                                      {"share_encoder_decoder_embeddings", true},
                                      {"tie_word_embeddings", true},
                                      {"static_position_embeddings", true},
                                      {"normalize_before", false},
                                      {"normalize_embedding", false},
                                      {"add_final_layer_norm", false},
                                      {"dropout", model.dropout},
                                      {"attention_dropout", model.attention_dropout},
                                      {"activation_dropout", model.activation_dropout},
                                      {"bos_token_id", text::kBeginId},
                                      {"pad_token_id", text::kPadId},
                                      {"eos_token_id", text::kEndId},
                                      {"forced_eos_token_id", text::kEndId},
                                      {"decoder_start_token_id", text::kEndId},
                                      {"torch_dtype", "float32"}});
  ForeignForm form = copy_of(directory);
  add_positions(form);
  add_output_bias(form);
  return form;
}

}  // namespace

std::string wanted_no_experts(const std::string& kind) {
  return fmt::format(
      "wanted a dense model, found one with experts, for which {} models of transformers have no form; megin "
      "export --all (or --path, --mean) first makes a dense model of those that have one",
      kind);
}

ForeignForm describe_own_model(const store::ModelDirectory& model, const fs::path& folder) {
  if (config::is_classifier(model.description.model)) {
    fail_usage(
        "{}: wanted a model that writes text, found a classifier, which has a form of transformers only "
        "where it was imported, or trained from an imported BERT or RoBERTa, whose imported/ --files names",
        model.path.string());
  }
  if (config::is_masked_lm(model.description.model)) {
    fail_usage(
        "{}: wanted a causal_lm or a model that translates, found a masked_lm, which has a form of "
        "transformers only where it was imported from one; {}",
        model.path.string(), kNameTheFiles);
  }
  return config::is_causal_lm(model.description.model) ? describe_gpt2(model, folder)
                                                       : describe_marian(model, folder);
}

}  // namespace megin::exchange
