#include "exchange/bert.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "exchange/bert_body.h"
#include "exchange/their_tokenizer.h"
#include "text/unicode.h"
#include "text/vocabulary.h"
#include "text/wordpiece.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;

// The lines of vocab.txt by their numbers, so many. Of two that are alike transformers takes the later.
std::vector<std::string> pieces_by_line(const fs::path& file, int64_t symbols) {
  const std::string text = read_file(file);
  if (!text::is_valid_utf8(text)) fail("{}: wanted UTF-8, found other bytes", file.string());
  std::vector<std::string> pieces;
  std::unordered_map<std::string, size_t> lines;
  const auto unused = [](size_t id) { return fmt::format("<|unused {}|>", id); };
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string piece = text.substr(at, end - at);
    at = end + 1;
    if (piece.ends_with('\r')) piece.pop_back();
    if (piece.empty()) piece = unused(pieces.size());
    const auto [found, is_new] = lines.emplace(piece, pieces.size());
    if (!is_new) {
      pieces[found->second] = unused(found->second);
      found->second = pieces.size();
    }
    pieces.push_back(std::move(piece));
  }
  const auto wanted = static_cast<size_t>(symbols);
  if (pieces.size() > wanted)
    fail("{}: wanted at most {} pieces, as config.json has it, found {}", file.string(), wanted,
         pieces.size());
  while (pieces.size() < wanted) pieces.push_back(unused(pieces.size()));
  return pieces;
}

void read_vocabulary(const fs::path& folder, Plan& plan) {
  const TheirTokenizer tokenizer(folder, {"BertTokenizer", "BertTokenizerFast"});
  tokenizer.require("do_basic_tokenize", true);
  const fs::path file = folder / "vocab.txt";
  std::vector<std::string> pieces = pieces_by_line(file, plan.their_symbols);
  tokenizer.require_no_more_than(pieces);
  const auto row = [&](const char* key, const char* standard) {
    return row_of(pieces, tokenizer.symbol(key, standard), file);
  };
  const std::vector<int64_t> special = {row("cls_token", "[CLS]"), row("pad_token", "[PAD]"),
                                        row("sep_token", "[SEP]"), row("unk_token", "[UNK]")};
  pieces[static_cast<size_t>(row("mask_token", "[MASK]"))] = text::kMaskPiece;

  text::WordPieceTables tables{.lower_case = tokenizer.flag("do_lower_case", true), .pieces = {}};
  tables.strip_accents = tokenizer.flag("strip_accents", tables.lower_case);
  tables.split_chinese = tokenizer.flag("tokenize_chinese_chars", true);
  for (const int64_t of : special) plan.symbols.push_back({.row = of});
  for (int64_t id = 0; id < plan.their_symbols; ++id) {
    if (std::ranges::find(special, id) != special.end()) continue;
    plan.symbols.push_back({.row = id});
    tables.pieces.push_back(pieces[static_cast<size_t>(id)]);
  }
  const text::WordPieceModel checked(std::move(tables), file.string());
  plan.source_subword = plan.target_subword = to_bytes(checked.tables());
  plan.files = {"config.json", "vocab.txt"};
  for (std::string& name : tokenizer.files()) plan.files.push_back(std::move(name));
}

void add_token_head(Plan& plan) {
  const std::string head = "cls.predictions.";
  add_links("output_transform", {head + "transform.dense"}, plan.links);
  add_links("output_transform_norm", {head + "transform.LayerNorm"}, plan.links);
  plan.links.push_back({.ours = "output.bias",
                        .theirs = {head + "bias"},
                        .form = Form::kNumbers,
                        .copies = {head + "decoder.bias"}});
  plan.tied = {head + "decoder.weight"};
  const std::string next_sentence = "cls.seq_relationship.";
  plan.kept.push_back({.name = next_sentence + "weight", .shape = {2, plan.model.width}, .optional = true});
  plan.kept.push_back({.name = next_sentence + "bias", .shape = {2}, .optional = true});
}

// The pooler is the first layer of what tells classes.
void add_class_head(Plan& plan) {
  add_links("classifier.hidden", {"bert.pooler.dense"}, plan.links);
  add_links("classifier.output", {"classifier"}, plan.links);
}

}  // namespace

Plan bert_plan(const fs::path& folder, const nlohmann::json& config) {
  const TheirSettings theirs(folder / "config.json", config);
  Plan plan;
  plan.their_symbols = theirs.number("vocab_size", 30522);
  BertBody body = body_of(theirs, "Bert", "bert.");
  body.keeps_pooler = body.head != BertHead::kClasses;
  add_body(theirs, body, plan);
  if (body.head == BertHead::kTokens) add_token_head(plan);
  if (body.head == BertHead::kClasses) add_class_head(plan);
  read_vocabulary(folder, plan);
  plan.model.source_vocabulary = plan.model.target_vocabulary = static_cast<int64_t>(plan.symbols.size());
  return plan;
}

}  // namespace megin::exchange
