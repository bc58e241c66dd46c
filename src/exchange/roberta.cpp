#include "exchange/roberta.h"

#include "exchange/bert_body.h"
#include "exchange/byte_pair_files.h"
#include "exchange/their_tokenizer.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;

void read_vocabulary(const fs::path& folder, Plan& plan) {
  const TheirTokenizer tokenizer(folder, {"RobertaTokenizer", "RobertaTokenizerFast"});
  const fs::path file = folder / "vocab.json";
  BytePairSymbols symbols{.pieces = pieces_by_id(file, plan.their_symbols),
                          .leading_space = tokenizer.flag("add_prefix_space", false)};
  tokenizer.require_no_more_than(symbols.pieces);
  const auto row = [&](const char* key, const char* standard) {
    return row_of(symbols.pieces, tokenizer.symbol(key, standard), file);
  };
  symbols.special = {row("bos_token", "<s>"), row("pad_token", "<pad>"), row("eos_token", "</s>"),
                     row("unk_token", "<unk>")};
  symbols.pieces[static_cast<size_t>(row("mask_token", "<mask>"))] = text::kMaskPiece;
  read_byte_pairs(folder, symbols, plan);
  plan.files = {"config.json", "vocab.json", "merges.txt"};
  for (std::string& name : tokenizer.files()) plan.files.push_back(std::move(name));
}

void add_token_head(const TheirSettings& theirs, Plan& plan) {
  // The head's activation is always this one, and megin's that of the layers.
  theirs.require<std::string>("hidden_act", "gelu", "gelu");
  add_links("output_transform", {"lm_head.dense"}, plan.links);
  add_links("output_transform_norm", {"lm_head.layer_norm"}, plan.links);
  plan.links.push_back({.ours = "output.bias",
                        .theirs = {"lm_head.bias"},
                        .form = Form::kNumbers,
                        .copies = {"lm_head.decoder.bias"}});
  plan.tied = {"lm_head.decoder.weight"};
}

void add_class_head(Plan& plan) {
  add_links("classifier.hidden", {"classifier.dense"}, plan.links);
  add_links("classifier.output", {"classifier.out_proj"}, plan.links);
}

}  // namespace

Plan roberta_plan(const fs::path& folder, const nlohmann::json& config) {
  const TheirSettings theirs(folder / "config.json", config);
  Plan plan;
  plan.their_symbols = theirs.number("vocab_size", 50265);
  const int64_t pad = theirs.number("pad_token_id", 1);
  theirs.require_within("pad_token_id", pad, plan.their_symbols);
  BertBody body = body_of(theirs, "Roberta", "roberta.");
  body.first_position = pad + 1;
  add_body(theirs, body, plan);
  if (body.head == BertHead::kTokens) add_token_head(theirs, plan);
  if (body.head == BertHead::kClasses) add_class_head(plan);
  read_vocabulary(folder, plan);
  plan.model.source_vocabulary = plan.model.target_vocabulary = static_cast<int64_t>(plan.symbols.size());
  return plan;
}

}  // namespace megin::exchange
