#include "text/subword.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "text/byte_pair.h"
#include "text/byte_vocabulary.h"
#include "text/symbol_set.h"
#include "text/unicode.h"
#include "text/wordpiece.h"

namespace megin::text {
namespace {

// SentencePiece writes a space as this character, so one that stands in the text would come back as a space.
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

}  // namespace

std::string normalise_for_subwords(std::string_view text) {
  const bool ascii =
      std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
  if (ascii) return normalise_whitespace(text);
  std::string composed =
      normalised(is_valid_utf8(text) ? std::string(text) : to_utf8(text, "UTF-8"), NormalForm::kComposed);
  for (size_t at = 0; (at = composed.find(kSpaceMark, at)) != std::string::npos;) {
    composed.replace(at, kSpaceMark.size(), 1, ' ');
  }
  return normalise_whitespace(composed);
}

bool is_language_tag(std::string_view tag) {
  if (tag.find_first_of(" \t,\"") != std::string_view::npos) return false;
  if (tag.starts_with(">>")) return tag.size() > 4 && tag.find("<<") == tag.size() - 2;
  return tag.size() > 3 && tag.starts_with("<2") && tag.find('>') == tag.size() - 1;
}

struct SubwordModel::Model {
  std::string bytes;
  std::string name;
  std::unique_ptr<const SymbolSet> symbols;
  std::vector<std::string> pieces;
  std::unordered_map<std::string, int32_t> ids;
};

SubwordModel::SubwordModel(const std::filesystem::path& path)
    : SubwordModel(from_bytes(read_file(path), path.string())) {}

SubwordModel SubwordModel::from_bytes(std::string bytes, const std::string& name) {
  auto model = std::make_shared<Model>();
  model->bytes = std::move(bytes);
  model->name = name;
  model->symbols = is_byte_pair_file(model->bytes)         ? byte_pair_symbols(model->bytes, name)
                   : is_wordpiece_file(model->bytes)       ? wordpiece_symbols(model->bytes, name)
                   : is_byte_vocabulary_file(model->bytes) ? byte_symbols(model->bytes, name)
                                                           : sentencepiece_symbols(model->bytes, name);
  model->pieces = {"<s>", "<pad>", "</s>", "<unk>"};
  for (std::string& piece : model->symbols->pieces()) model->pieces.push_back(std::move(piece));
  for (size_t id = 0; id < model->pieces.size(); ++id)
    model->ids.emplace(model->pieces[id], static_cast<int32_t>(id));
  return SubwordModel(std::move(model));
}

std::vector<int32_t> SubwordModel::encode(std::string_view line) const {
  return model_->symbols->encode(line);
}

std::string SubwordModel::decode(std::span<const int32_t> ids) const {
  for (const int32_t id : ids) {
    if (id < 0 || id >= size()) {
      fail("{}: wanted token ids from 0 to {}, found {}; the text was made with another model", model_->name,
           size() - 1, id);
    }
  }
  return model_->symbols->decode(ids);
}

const ByteVocabulary* SubwordModel::byte_vocabulary() const {
  return model_->symbols->byte_vocabulary();
}

int64_t SubwordModel::size() const {
  return static_cast<int64_t>(model_->pieces.size());
}

std::string SubwordModel::piece(int32_t id) const {
  if (id < 0 || id >= size())
    fail("{}: wanted a token id from 0 to {}, found {}", model_->name, size() - 1, id);
  return model_->pieces[static_cast<size_t>(id)];
}

std::optional<int32_t> SubwordModel::id(std::string_view piece) const {
  const auto found = model_->ids.find(std::string(piece));
  return found == model_->ids.end() ? std::nullopt : std::optional(found->second);
}

std::optional<int32_t> SubwordModel::mask_id() const {
  const std::optional<int32_t> found = id(kMaskPiece);
  return found ? found : id("[MASK]");
}

const std::string& SubwordModel::bytes() const {
  return model_->bytes;
}

uint64_t SubwordModel::checksum() const {
  return megin::checksum(model_->bytes);
}

}  // namespace megin::text
