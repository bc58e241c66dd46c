#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "text/subword.h"
#include "text/subword_backend.h"
#include "text/symbol_set.h"

namespace megin::text {
namespace {

TextSink into(std::string& text) {
  return {&text, [](void* context, const char* bytes, uint64_t size) {
            static_cast<std::string*>(context)->append(bytes, size);
          }};
}

IdSink into(std::vector<int>& ids) {
  return {&ids, [](void* context, const int* put, uint64_t count) {
            static_cast<std::vector<int>*>(context)->assign(put, put + count);
          }};
}

class SentencePieceSymbols final : public SymbolSet {
 public:
  SentencePieceSymbols(std::string_view bytes, const std::string& name) : name_(name) {
    std::string error;
    handle_ = subword_backend().open(bytes.data(), bytes.size(), into(error));
    if (handle_ == nullptr) {
      fail("{}: wanted a SentencePiece model, found something else or a damaged one ({})", name, error);
    }
    number_pieces();
  }
  SentencePieceSymbols(const SentencePieceSymbols&) = delete;
  SentencePieceSymbols& operator=(const SentencePieceSymbols&) = delete;
  ~SentencePieceSymbols() override {
    if (handle_ != nullptr) subword_backend().close(handle_);
  }

  std::vector<std::string> pieces() const override { return pieces_; }
  std::vector<int32_t> encode(std::string_view line) const override;
  std::string decode(std::span<const int32_t> ids) const override;

 private:
  void number_pieces();
  std::optional<int32_t> leading_tag(std::string_view line, size_t& length) const;
  std::optional<int32_t> next_sentinel(std::string_view text, size_t& begin, size_t& end) const;
  void encode_part(std::string_view text, std::vector<int32_t>& ids) const;

  void* handle_ = nullptr;
  std::string name_;
  std::vector<int> to_model_;        // of each id of megin; -1 for a special symbol the model lacks
  std::vector<int32_t> from_model_;  // of each id of the model
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> tags_;       // symbols that look like tags
  std::unordered_map<std::string, int32_t> sentinels_;  // of imported T5 models, "<extra_id_0>" and so on
};

constexpr std::string_view kSentinel = "<extra_id_";

void SentencePieceSymbols::number_pieces() {
  const SubwordBackend& backend = subword_backend();
  const int count = backend.size(handle_);
  from_model_.assign(static_cast<size_t>(count), -1);
  for (int32_t id = 0; id < kSpecialIds; ++id) {
    const int in_model = backend.special(handle_, id);
    to_model_.push_back(in_model);
    if (in_model >= 0) from_model_[static_cast<size_t>(in_model)] = id;
  }
  for (int in_model = 0; in_model < count; ++in_model) {
    int32_t& id = from_model_[static_cast<size_t>(in_model)];
    if (id >= 0) continue;
    id = static_cast<int32_t>(to_model_.size());
    to_model_.push_back(in_model);
    std::string& piece = pieces_.emplace_back();
    backend.piece(handle_, in_model, into(piece));
    if (is_language_tag(piece)) tags_.emplace(piece, id);
    if (piece.starts_with(kSentinel) && backend.ordinary(handle_, in_model)) sentinels_.emplace(piece, id);
  }
}

// The tag symbol at the start of the line and its length in bytes with the spaces after it.
std::optional<int32_t> SentencePieceSymbols::leading_tag(std::string_view line, size_t& length) const {
  if (!line.starts_with("<2") && !line.starts_with(">>")) return {};
  const size_t end = line.starts_with("<2") ? line.find('>') : line.find("<<") + 1;
  if (end == std::string_view::npos || !is_language_tag(line.substr(0, end + 1))) return {};
  const auto found = tags_.find(std::string(line.substr(0, end + 1)));
  if (found == tags_.end() ||
      !subword_backend().ordinary(handle_, to_model_[static_cast<size_t>(found->second)]))
    return {};
  length = std::min(line.find_first_not_of(' ', end + 1), line.size());
  return found->second;
}

std::vector<int32_t> SentencePieceSymbols::encode(std::string_view line) const {
  const std::string text = normalise_for_subwords(line);
  std::vector<int32_t> ids;
  size_t tag_length = 0;
  if (const auto tag = leading_tag(text, tag_length)) ids.push_back(*tag);
  std::string_view rest = std::string_view(text).substr(tag_length);
  size_t begin = 0, end = 0;
  while (const auto sentinel = next_sentinel(rest, begin, end)) {
    encode_part(rest.substr(0, begin), ids);
    ids.push_back(*sentinel);
    rest.remove_prefix(end);
  }
  encode_part(rest, ids);
  return ids;
}

// The first sentinel of the text, which parts it: the spaces around it belong to it.
std::optional<int32_t> SentencePieceSymbols::next_sentinel(std::string_view text, size_t& begin,
                                                           size_t& end) const {
  if (sentinels_.empty()) return {};
  for (begin = text.find(kSentinel); begin != text.npos; begin = text.find(kSentinel, begin + 1)) {
    end = text.find('>', begin);
    if (end == text.npos) return {};
    const auto found = sentinels_.find(std::string(text.substr(begin, ++end - begin)));
    if (found == sentinels_.end()) continue;
    while (begin > 0 && text[begin - 1] == ' ') --begin;
    end = std::min(text.find_first_not_of(' ', end), text.size());
    return found->second;
  }
  return {};
}

void SentencePieceSymbols::encode_part(std::string_view text, std::vector<int32_t>& ids) const {
  std::vector<int> in_model;
  std::string error;
  if (!subword_backend().encode(handle_, text.data(), text.size(), into(in_model), into(error))) {
    fail("{}: this subword model cannot encode a line: {}", name_, error);
  }
  for (const int id : in_model) ids.push_back(from_model_[static_cast<size_t>(id)]);
}

std::string SentencePieceSymbols::decode(std::span<const int32_t> ids) const {
  std::vector<int> in_model;
  for (const int32_t id : ids) {
    if (id >= kUnknownId) in_model.push_back(to_model_[static_cast<size_t>(id)]);
  }
  std::string text, error;
  if (!subword_backend().decode(handle_, in_model.data(), in_model.size(), into(text), into(error))) {
    fail("{}: this subword model cannot decode a line: {}", name_, error);
  }
  return text;
}

}  // namespace

std::unique_ptr<const SymbolSet> sentencepiece_symbols(std::string_view bytes, const std::string& name) {
  return std::make_unique<SentencePieceSymbols>(bytes, name);
}

}  // namespace megin::text
