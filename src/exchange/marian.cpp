#include "exchange/marian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "exchange/sentencepiece_file.h"
#include "exchange/their_settings.h"
#include "text/subword.h"
#include "text/vocabulary.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;
using Kind = SentencePiece::Kind;

std::vector<float> their_positions(int64_t count, int64_t width) {
  std::vector<float> table;
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t c = 0; c < width; ++c) {
      const int64_t half = width / 2, k = c % half;
      const double angle = static_cast<double>(t) /
                           std::pow(10000.0, 2.0 * static_cast<double>(k) / static_cast<double>(width));
      table.push_back(static_cast<float>(c < half ? std::sin(angle) : std::cos(angle)));
    }
  }
  return table;
}

bool is_one_character(const std::string& piece) {
  return std::ranges::count_if(piece, [](char c) { return (c & 0xC0) != 0x80; }) == 1;
}

bool is_read(Kind kind) {
  return kind == Kind::kNormal || kind == Kind::kUserDefined || kind == Kind::kByte;
}

// The symbols of a model under way.
struct Vocabulary {
  std::vector<std::string> pieces;  // of all ids of megin's
  std::unordered_map<std::string, size_t> ids;

  // Two symbols may not have one name; of the second it says nothing, as no text has it.
  void add(const std::string& piece) {
    const std::string name = ids.contains(piece) ? fmt::format("<|second {}|>", piece) : piece;
    ids.emplace(name, pieces.size());
    pieces.push_back(name);
  }
};

// A side's model with all symbols; those that it does not read are unused in it.
std::string renumbered(const SentencePieceFile& model, const Vocabulary& vocabulary) {
  SentencePieceFile ours{.pieces = {}, .rest = model.rest};
  for (const std::string& piece : vocabulary.pieces) {
    ours.pieces.push_back({.piece = piece, .score = 0, .kind = Kind::kUnused});
  }
  float lowest = 0;
  for (const SentencePiece& piece : model.pieces) {
    if (!is_read(piece.kind)) continue;
    ours.pieces[vocabulary.ids.at(piece.piece)] = piece;
    lowest = std::min(lowest, piece.score);
  }
  // A character that this side's model does not know is looked up by transformers in the vocabulary of both.
  // (A run of them is looked up as a whole there, and here character by character.)
  constexpr float kUnknownPenalty = 10;  // SentencePiece's
  for (SentencePiece& piece : ours.pieces) {
    if (piece.kind != Kind::kUnused || !is_one_character(piece.piece)) continue;
    piece.kind = Kind::kNormal;
    piece.score = lowest - kUnknownPenalty;
  }
  for (int32_t id = 0; id < text::kSpecialIds; ++id) {
    ours.pieces[static_cast<size_t>(id)].kind = id == text::kUnknownId ? Kind::kUnknown : Kind::kControl;
  }
  // Language tags are read at the start of a line (text/subword.h).
  for (SentencePiece& piece : ours.pieces) {
    if (text::is_language_tag(piece.piece)) piece.kind = Kind::kUserDefined;
  }
  return to_bytes(ours);
}

void read_vocabulary(const fs::path& folder, const TheirSettings& theirs, Plan& plan) {
  const std::vector<std::string> pieces = pieces_by_id(folder / "vocab.json", plan.their_symbols);
  const int64_t end = theirs.number("eos_token_id", 0), pad = theirs.number("pad_token_id", 58100);
  theirs.require_within("eos_token_id", end, plan.their_symbols);
  theirs.require_within("pad_token_id", pad, plan.their_symbols);
  const int64_t start = theirs.number("decoder_start_token_id", 58100);
  if (start != pad && start != end) {
    fail("{}: decoder_start_token_id: wanted the padding symbol ({}) or the end mark ({}), found {}",
         (folder / "config.json").string(), pad, end, start);
  }
  plan.model.begin_vector = start == pad;
  const auto unknown = static_cast<int64_t>(std::ranges::find(pieces, "<unk>") - pieces.begin());
  if (unknown == plan.their_symbols)
    fail("{}: wanted a piece <unk>, found none", (folder / "vocab.json").string());

  const auto begin = static_cast<int64_t>(std::ranges::find(pieces, "<s>") - pieces.begin());
  const bool begins = begin < plan.their_symbols;
  plan.symbols = {
      {.row = begins ? begin : -1, .produced = begins}, {.row = pad}, {.row = end}, {.row = unknown}};
  Vocabulary vocabulary;
  for (const char* const special : {"<s>", "<pad>", "</s>", "<unk>"}) vocabulary.add(special);
  for (int64_t id = 0; id < plan.their_symbols; ++id) {
    if (id == begin || id == pad || id == end || id == unknown) continue;
    plan.symbols.push_back({.row = id});
    vocabulary.add(pieces[static_cast<size_t>(id)]);
  }
  const auto read = [&](const char* name) {
    return read_sentencepiece(read_file(folder / name), (folder / name).string());
  };
  const SentencePieceFile source = read("source.spm"), target = read("target.spm");
  for (const SentencePieceFile* const model : {&source, &target}) {
    for (const SentencePiece& piece : model->pieces) {
      if (!is_read(piece.kind) || vocabulary.ids.contains(piece.piece)) continue;
      plan.symbols.push_back({.row = unknown, .produced = false});
      vocabulary.add(piece.piece);
    }
  }
  for (const std::string& piece : vocabulary.pieces) {
    if (text::is_language_tag(piece)) plan.tags.push_back(piece);
  }
  plan.source_subword = renumbered(source, vocabulary);
  plan.target_subword = renumbered(target, vocabulary);
}

class Links {
 public:
  explicit Links(std::vector<Link>& links) : links_(links) {}

  void add(const std::string& ours, const std::vector<std::string>& theirs) {
    for (const char* const part : {".weight", ".bias"}) {
      Link link{.ours = ours + part, .theirs = {}};
      for (const std::string& name : theirs) link.theirs.push_back(name + part);
      links_.push_back(std::move(link));
    }
  }

  void add_layer(const std::string& stack, int64_t layer) {
    const std::string ours = fmt::format("{}.layers.{}.", stack, layer), theirs = "model." + ours;
    const std::string self = theirs + "self_attn.", cross = theirs + "encoder_attn.";
    add(ours + "self_attention.query_key_value", {self + "q_proj", self + "k_proj", self + "v_proj"});
    add(ours + "self_attention.output", {self + "out_proj"});
    add(ours + "self_attention.norm", {theirs + "self_attn_layer_norm"});
    if (stack == "decoder") {
      add(ours + "cross_attention.query", {cross + "q_proj"});
      add(ours + "cross_attention.key_value", {cross + "k_proj", cross + "v_proj"});
      add(ours + "cross_attention.output", {cross + "out_proj"});
      add(ours + "cross_attention.norm", {theirs + "encoder_attn_layer_norm"});
    }
    add(ours + "feed_forward.fc1", {theirs + "fc1"});
    add(ours + "feed_forward.fc2", {theirs + "fc2"});
    add(ours + "feed_forward.norm", {theirs + "final_layer_norm"});
  }

 private:
  std::vector<Link>& links_;
};

config::ModelConfig model_of(const TheirSettings& theirs) {
  theirs.require("normalize_before", false, false);
  theirs.require("normalize_embedding", false, false);
  theirs.require("add_final_layer_norm", false, false);
  theirs.require("add_bias_logits", false, false);
  theirs.require("share_encoder_decoder_embeddings", true, true);
  theirs.require("tie_word_embeddings", true, true);
  config::ModelConfig model;
  model.width = theirs.number("d_model", 1024);
  model.feed_forward = theirs.number("encoder_ffn_dim", 4096);
  theirs.require("decoder_ffn_dim", model.feed_forward, int64_t{4096});
  model.heads = theirs.number("encoder_attention_heads", 16);
  theirs.require("decoder_attention_heads", model.heads, int64_t{16});
  model.encoder_layers = theirs.number("encoder_layers", 12);
  model.decoder_layers = theirs.number("decoder_layers", 12);
  model.max_length = theirs.number("max_position_embeddings", 1024);
  model.activation = theirs.activation("activation_function", "gelu");
  model.dropout = theirs.real("dropout", 0.1);
  model.attention_dropout = theirs.real("attention_dropout", 0.0);
  model.activation_dropout = theirs.real("activation_dropout", 0.0);
  model.positions = config::Positions::kLearned;
  model.scale_embeddings = theirs.flag("scale_embedding", false);
  model.output_bias = true;
  theirs.check(model);
  return model;
}

}  // namespace

Plan marian_plan(const fs::path& folder, const nlohmann::json& config) {
  const TheirSettings theirs(folder / "config.json", config);
  Plan plan;
  plan.model = model_of(theirs);
  plan.their_symbols = theirs.number("vocab_size", 58101);
  theirs.require("decoder_vocab_size", plan.their_symbols, plan.their_symbols);
  read_vocabulary(folder, theirs, plan);
  plan.model.source_vocabulary = plan.model.target_vocabulary = static_cast<int64_t>(plan.symbols.size());

  plan.links = {{.ours = "embedding.weight", .theirs = {"model.shared.weight"}, .form = Form::kSymbols},
                {.ours = "output.bias", .theirs = {"final_logits_bias"}, .form = Form::kSymbols}};
  const std::vector<float> positions = their_positions(plan.model.max_length, plan.model.width);
  Links links(plan.links);
  for (const auto& [stack, layers] :
       {std::pair("encoder", plan.model.encoder_layers), std::pair("decoder", plan.model.decoder_layers)}) {
    const std::string prefix = stack;
    plan.links.push_back({.ours = prefix + ".positions.weight",
                          .theirs = {"model." + prefix + ".embed_positions.weight"},
                          .standard = positions});
    for (int64_t layer = 0; layer < layers; ++layer) links.add_layer(prefix, layer);
  }
  plan.tied = {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"};
  plan.files = {"config.json", "vocab.json", "source.spm", "target.spm"};
  const fs::path tokenizer = folder / "tokenizer_config.json";
  if (fs::exists(tokenizer)) {
    const nlohmann::json languages = read_json(tokenizer);
    plan.source_language = member(languages, "source_lang", tokenizer, std::string());
    plan.target_language = member(languages, "target_lang", tokenizer, std::string());
    plan.files.emplace_back("tokenizer_config.json");
  }
  return plan;
}

}  // namespace megin::exchange
