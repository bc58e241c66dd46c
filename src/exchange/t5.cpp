#include "exchange/t5.h"

#include <fmt/format.h>

#include <algorithm>

#include "exchange/sentencepiece_file.h"
#include "exchange/their_settings.h"
#include "text/vocabulary.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;
using Kind = SentencePiece::Kind;

int64_t sentinels(const fs::path& folder) {
  constexpr int64_t kStandard = 100, kMost = 1 << 20;
  const fs::path file = folder / "tokenizer_config.json";
  if (!fs::exists(file)) return kStandard;
  const int64_t count = member(read_json(file), "extra_ids", file, kStandard);
  if (count < 0 || count > kMost)
    fail("{}: extra_ids: wanted 0 to {}, found {}", file.string(), kMost, count);
  return count;
}

// The pieces of all rows, in their order.
SentencePieceFile with_all_rows(SentencePieceFile file, int64_t rows, int64_t sentinels) {
  const auto own = static_cast<int64_t>(file.pieces.size());
  const auto is_begin = [](const SentencePiece& piece) {
    return piece.piece == "<s>" && piece.kind == Kind::kControl;
  };
  const bool has_begin = std::ranges::any_of(file.pieces, is_begin);
  for (int64_t row = own; row < rows; ++row) {
    const int64_t number = own - 1 + sentinels - row;
    if (number >= 0) {
      file.pieces.push_back({.piece = fmt::format("<extra_id_{}>", number), .kind = Kind::kUserDefined});
    } else if (row + 1 == rows && !has_begin) {
      file.pieces.push_back({.piece = "<s>", .kind = Kind::kControl});
    } else {
      file.pieces.push_back({.piece = fmt::format("<|unused {}|>", row), .kind = Kind::kUnused});
    }
  }
  return file;
}

// Rows of the special symbols, in the order of text/vocabulary.h; -1: there is none. The others follow in
// their order, as text::SubwordModel numbers them.
std::vector<int64_t> special_rows(const SentencePieceFile& file) {
  const auto row_of = [&](const char* piece, Kind kind) {
    const auto found = std::ranges::find_if(
        file.pieces, [&](const SentencePiece& p) { return p.kind == kind && p.piece == piece; });
    return found == file.pieces.end() ? int64_t{-1} : found - file.pieces.begin();
  };
  return {row_of("<s>", Kind::kControl), row_of("<pad>", Kind::kControl), row_of("</s>", Kind::kControl),
          row_of("<unk>", Kind::kUnknown)};
}

void read_vocabulary(const fs::path& folder, const TheirSettings& theirs, Plan& plan) {
  const fs::path path = folder / "spiece.model";
  SentencePieceFile file = read_sentencepiece(read_file(path), path.string());
  const auto own = static_cast<int64_t>(file.pieces.size());
  if (own > plan.their_symbols) {
    fail("{}: wanted at most {} pieces, the rows of the model (vocab_size), found {}", path.string(),
         plan.their_symbols, own);
  }
  file = with_all_rows(std::move(file), plan.their_symbols, sentinels(folder));
  const std::vector<int64_t> special = special_rows(file);
  for (const int32_t id : {text::kPadId, text::kEndId, text::kUnknownId}) {
    if (special[static_cast<size_t>(id)] >= 0) continue;
    fail("{}: wanted the special pieces <pad>, </s> and <unk>, found no {}", path.string(),
         id == text::kPadId   ? "<pad>"
         : id == text::kEndId ? "</s>"
                              : "<unk>");
  }
  theirs.require("pad_token_id", special[text::kPadId], int64_t{0});
  theirs.require("eos_token_id", special[text::kEndId], int64_t{1});
  theirs.require("decoder_start_token_id", special[text::kPadId], special[text::kPadId]);
  for (const int64_t row : special) plan.symbols.push_back({.row = row, .produced = row >= 0});
  for (int64_t row = 0; row < plan.their_symbols; ++row) {
    if (std::ranges::find(special, row) == special.end()) plan.symbols.push_back({.row = row});
  }
  plan.source_subword = plan.target_subword = to_bytes(file);
}

config::Activation activation_of(const nlohmann::json& config, const fs::path& file) {
  const std::string name = member(config, "feed_forward_proj", file, std::string("relu"));
  if (name == "relu") return config::Activation::kRelu;
  if (name == "gated-gelu") return config::Activation::kGegluTanh;  // which transformers takes for gelu_new
  if (name == "gated-silu") return config::Activation::kSwiglu;
  fail("{}: feed_forward_proj: wanted relu, gated-gelu or gated-silu, found '{}'", file.string(), name);
}

config::ModelConfig model_of(const TheirSettings& theirs, config::Activation activation) {
  theirs.require("is_encoder_decoder", true, true);
  const bool tied = theirs.flag("tie_word_embeddings", true);
  config::ModelConfig model;
  model.width = theirs.number("d_model", 512);
  model.feed_forward = theirs.number("d_ff", 2048);
  model.heads = theirs.number("num_heads", 8);
  model.head_width = theirs.number("d_kv", 64);
  model.encoder_layers = theirs.number("num_layers", 6);
  model.decoder_layers = theirs.number("num_decoder_layers", model.encoder_layers);
  model.max_length = theirs.number("n_positions", 512);
  model.dropout = model.attention_dropout = model.activation_dropout = theirs.real("dropout_rate", 0.1);
  model.activation = activation;
  model.norm = config::NormKind::kRmsNorm;
  model.norm_position = config::NormPosition::kPre;
  model.norm_epsilon = theirs.real("layer_norm_epsilon", 1e-6);
  model.positions = config::Positions::kBucketed;
  model.position_buckets = theirs.number("relative_attention_num_buckets", 32);
  model.position_distance = theirs.number("relative_attention_max_distance", 128);
  model.share_embeddings = tied ? config::ShareEmbeddings::kAll : config::ShareEmbeddings::kInputs;
  model.scale_output = tied;
  model.scale_embeddings = model.scale_attention = model.biases = false;
  model.begin_vector = true;
  theirs.check(model);
  return model;
}

class Links {
 public:
  Links(std::vector<Link>& links, bool gated) : links_(links), gated_(gated) {}

  void add(const std::string& ours, const std::vector<std::string>& theirs) {
    Link link{.ours = ours + ".weight", .theirs = {}};
    for (const std::string& name : theirs) link.theirs.push_back(name + ".weight");
    links_.push_back(std::move(link));
  }

  void add_layer(const std::string& stack, int64_t layer) {
    const std::string ours = fmt::format("{}.layers.{}.", stack, layer);
    const auto sublayer = [&](int number) {
      return fmt::format("{}.block.{}.layer.{}.", stack, layer, number);
    };
    const std::string self = sublayer(0) + "SelfAttention.";
    add(ours + "self_attention.query_key_value", {self + "q", self + "k", self + "v"});
    add(ours + "self_attention.output", {self + "o"});
    add(ours + "self_attention.norm", {sublayer(0) + "layer_norm"});
    const bool decoder = stack == "decoder";
    if (decoder) {
      const std::string cross = sublayer(1) + "EncDecAttention.";
      add(ours + "cross_attention.query", {cross + "q"});
      add(ours + "cross_attention.key_value", {cross + "k", cross + "v"});
      add(ours + "cross_attention.output", {cross + "o"});
      add(ours + "cross_attention.norm", {sublayer(1) + "layer_norm"});
    }
    const std::string last = sublayer(decoder ? 2 : 1), inner = last + "DenseReluDense.";
    if (gated_) add(ours + "feed_forward.gate", {inner + "wi_0"});
    add(ours + "feed_forward.fc1", {inner + (gated_ ? "wi_1" : "wi")});
    add(ours + "feed_forward.fc2", {inner + "wo"});
    add(ours + "feed_forward.norm", {last + "layer_norm"});
  }

 private:
  std::vector<Link>& links_;
  bool gated_;
};

}  // namespace

Plan t5_plan(const fs::path& folder, const nlohmann::json& config) {
  const TheirSettings theirs(folder / "config.json", config);
  Plan plan;
  plan.model = model_of(theirs, activation_of(config, folder / "config.json"));
  plan.their_symbols = theirs.number("vocab_size", 32128);
  read_vocabulary(folder, theirs, plan);
  plan.model.output_bias = !plan.symbols[text::kBeginId].produced;
  plan.model.source_vocabulary = plan.model.target_vocabulary = static_cast<int64_t>(plan.symbols.size());

  plan.links = {{.ours = "embedding.weight", .theirs = {"shared.weight"}, .form = Form::kSymbols}};
  plan.tied = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"};
  if (config::has_own_output(plan.model)) {
    plan.links.push_back({.ours = "output.weight", .theirs = {"lm_head.weight"}, .form = Form::kSymbols});
  } else {
    plan.tied.emplace_back("lm_head.weight");
  }
  Links links(plan.links, config::is_gated(plan.model.activation));
  for (const auto& [stack, layers] :
       {std::pair("encoder", plan.model.encoder_layers), std::pair("decoder", plan.model.decoder_layers)}) {
    const std::string prefix = stack;
    links.add(prefix + ".positions", {prefix + ".block.0.layer.0.SelfAttention.relative_attention_bias"});
    links.add(prefix + ".norm", {prefix + ".final_layer_norm"});
    for (int64_t layer = 0; layer < layers; ++layer) links.add_layer(prefix, layer);
  }
  // Old files have a table for cross-attention, which T5 does not read.
  plan.passed_over = {".EncDecAttention.relative_attention_bias.weight"};
  plan.files = {"config.json", "spiece.model"};
  for (const char* const name : {"tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"}) {
    if (fs::exists(folder / name)) plan.files.emplace_back(name);
  }
  return plan;
}

}  // namespace megin::exchange
