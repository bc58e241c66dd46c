#include "exchange/gpt2.h"

#include <fmt/format.h>

#include <algorithm>

#include "exchange/byte_pair_files.h"
#include "exchange/their_settings.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;

void add_layer(int64_t layer, std::vector<Link>& links) {
  const std::string ours = fmt::format("decoder.layers.{}.", layer),
                    theirs = fmt::format("transformer.h.{}.", layer);
  const auto add = [&](const std::string& our, const std::string& their, Form form) {
    for (const char* const part : {"weight", "bias"}) {
      links.push_back(
          {.ours = ours + our + "." + part, .theirs = {theirs + their + "." + part}, .form = form});
    }
  };
  add("self_attention.query_key_value", "attn.c_attn", Form::kTransposed);
  add("self_attention.output", "attn.c_proj", Form::kTransposed);
  add("self_attention.norm", "ln_1", Form::kPlain);
  add("feed_forward.fc1", "mlp.c_fc", Form::kTransposed);
  add("feed_forward.fc2", "mlp.c_proj", Form::kTransposed);
  add("feed_forward.norm", "ln_2", Form::kPlain);
}

}  // namespace

Plan gpt2_plan(const fs::path& folder, const nlohmann::json& config) {
  const TheirSettings theirs(folder / "config.json", config);
  theirs.require("scale_attn_weights", true, true);
  theirs.require("scale_attn_by_inverse_layer_idx", false, false);
  theirs.require("add_cross_attention", false, false);
  theirs.require("tie_word_embeddings", true, true);
  const int64_t end = theirs.number("eos_token_id", 50256);
  theirs.require("bos_token_id", end, int64_t{50256});

  Plan plan;
  config::ModelConfig& model = plan.model;
  config::apply_model_preset(model, "tiny_lm");
  model.width = theirs.number("n_embd", 768);
  model.feed_forward = theirs.number("n_inner", 4 * model.width);
  model.heads = theirs.number("n_head", 12);
  model.decoder_layers = theirs.number("n_layer", 12);
  model.max_length = theirs.number("n_positions", 1024);
  model.activation = theirs.activation("activation_function", "gelu_new");
  model.norm_epsilon = theirs.real("layer_norm_epsilon", 1e-5);
  model.dropout = theirs.real("resid_pdrop", 0.1);
  model.attention_dropout = theirs.real("attn_pdrop", 0.1);
  model.scale_embeddings = false;
  model.output_bias = true;  // so that the symbols that GPT-2 lacks have no probability
  plan.their_symbols = theirs.number("vocab_size", 50257);
  theirs.require_within("eos_token_id", end, plan.their_symbols);
  theirs.check(model);

  BytePairSymbols symbols{.pieces = pieces_by_id(folder / "vocab.json", plan.their_symbols)};
  for (size_t id = 0; id < kSpecialPieces.size(); ++id) {
    const auto row = std::ranges::find(symbols.pieces, kSpecialPieces[id]) - symbols.pieces.begin();
    symbols.special[id] = row < plan.their_symbols ? row : -1;
  }
  symbols.special[text::kEndId] = end;
  read_byte_pairs(folder, symbols, plan);
  model.source_vocabulary = model.target_vocabulary = static_cast<int64_t>(plan.symbols.size());
  plan.links = {{.ours = "embedding.weight", .theirs = {"transformer.wte.weight"}, .form = Form::kSymbols},
                {.ours = "decoder.positions.weight", .theirs = {"transformer.wpe.weight"}},
                {.ours = "decoder.norm.weight", .theirs = {"transformer.ln_f.weight"}},
                {.ours = "decoder.norm.bias", .theirs = {"transformer.ln_f.bias"}}};
  for (int64_t layer = 0; layer < model.decoder_layers; ++layer) add_layer(layer, plan.links);
  plan.optional_prefix = "transformer.";
  plan.tied = {"lm_head.weight"};
  plan.passed_over = {".attn.bias", ".attn.masked_bias"};  // the causal mask
  plan.files = {"config.json", "vocab.json", "merges.txt"};
  return plan;
}

}  // namespace megin::exchange
