#include "text/subword.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "text/byte_pair.h"
#include "text/subword_backend.h"
#include "text/unicode.h"

namespace megin::text {
namespace {

// SentencePiece writes a space as this character, so one that stands in the text would come back as a space.
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

std::string compose(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  std::string composed;
  icu::StringByteSink<std::string> sink(&composed);
  const icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  if (U_SUCCESS(status)) nfc->normalizeUTF8(0, piece, sink, nullptr, status);
  if (U_FAILURE(status)) fail("cannot compose Unicode text: {}", u_errorName(status));
  return composed;
}

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

}  // namespace

std::string normalise_for_subwords(std::string_view text) {
  const bool ascii =
      std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
  if (ascii) return normalise_whitespace(text);
  std::string composed = compose(is_valid_utf8(text) ? std::string(text) : to_utf8(text, "UTF-8"));
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
  void* handle = nullptr;                          // of SentencePiece
  std::unique_ptr<const BytePairModel> byte_pair;  // instead of it
  std::string bytes;
  std::string name;
  std::vector<int> to_model;        // of each id of megin; -1 for a special symbol the model lacks
  std::vector<int32_t> from_model;  // of each id of the model
  std::vector<std::string> pieces;
  std::unordered_map<std::string, int32_t> ids;

  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  ~Model() {
    if (handle != nullptr) subword_backend().close(handle);
  }

  void number_pieces();
  void number_byte_pairs();
  std::optional<int32_t> leading_tag(std::string_view line, size_t& length) const;
};

void SubwordModel::Model::number_pieces() {
  static constexpr std::string_view kNames[] = {"<s>", "<pad>", "</s>", "<unk>"};
  const SubwordBackend& backend = subword_backend();
  const int count = backend.size(handle);
  from_model.assign(static_cast<size_t>(count), -1);
  for (int32_t id = 0; id < kSpecialIds; ++id) {
    const int in_model = backend.special(handle, id);
    to_model.push_back(in_model);
    pieces.emplace_back(kNames[id]);
    if (in_model >= 0) from_model[static_cast<size_t>(in_model)] = id;
  }
  for (int in_model = 0; in_model < count; ++in_model) {
    int32_t& id = from_model[static_cast<size_t>(in_model)];
    if (id >= 0) continue;
    id = static_cast<int32_t>(to_model.size());
    to_model.push_back(in_model);
    backend.piece(handle, in_model, into(pieces.emplace_back()));
  }
  for (size_t id = 0; id < pieces.size(); ++id) ids.emplace(pieces[id], static_cast<int32_t>(id));
}

void SubwordModel::Model::number_byte_pairs() {
  pieces = {"<s>", "<pad>", "</s>", "<unk>"};
  const auto& own = byte_pair->tables().pieces;
  pieces.insert(pieces.end(), own.begin(), own.end());
  for (size_t id = 0; id < pieces.size(); ++id) ids.emplace(pieces[id], static_cast<int32_t>(id));
}

// The tag symbol at the start of the line and its length in bytes with the spaces after it.
std::optional<int32_t> SubwordModel::Model::leading_tag(std::string_view line, size_t& length) const {
  if (!line.starts_with("<2") && !line.starts_with(">>")) return {};
  const size_t end = line.starts_with("<2") ? line.find('>') : line.find("<<") + 1;
  if (end == std::string_view::npos || !is_language_tag(line.substr(0, end + 1))) return {};
  const auto found = ids.find(std::string(line.substr(0, end + 1)));
  if (found == ids.end() || !subword_backend().ordinary(handle, to_model[static_cast<size_t>(found->second)]))
    return {};
  length = std::min(line.find_first_not_of(' ', end + 1), line.size());
  return found->second;
}

SubwordModel::SubwordModel(const std::filesystem::path& path)
    : SubwordModel(from_bytes(read_file(path), path.string())) {}

SubwordModel SubwordModel::from_bytes(std::string bytes, const std::string& name) {
  auto model = std::make_shared<Model>();
  model->bytes = std::move(bytes);
  model->name = name;
  if (is_byte_pair_file(model->bytes)) {
    model->byte_pair = std::make_unique<BytePairModel>(read_byte_pair_tables(model->bytes, name), name);
    model->number_byte_pairs();
    return SubwordModel(std::move(model));
  }
  std::string error;
  model->handle = subword_backend().open(model->bytes.data(), model->bytes.size(), into(error));
  if (model->handle == nullptr) {
    fail("{}: wanted a SentencePiece model, found something else or a damaged one ({})", name, error);
  }
  model->number_pieces();
  return SubwordModel(std::move(model));
}

std::vector<int32_t> SubwordModel::encode(std::string_view line) const {
  if (model_->byte_pair) {
    return model_->byte_pair->encode(is_valid_utf8(line) ? std::string(line) : to_utf8(line, "UTF-8"));
  }
  const std::string text = normalise_for_subwords(line);
  std::vector<int32_t> ids;
  size_t tag_length = 0;
  if (const auto tag = model_->leading_tag(text, tag_length)) ids.push_back(*tag);
  std::vector<int> in_model;
  std::string error;
  const std::string_view rest = std::string_view(text).substr(tag_length);
  if (!subword_backend().encode(model_->handle, rest.data(), rest.size(), into(in_model), into(error))) {
    fail("{}: this subword model cannot encode a line: {}", model_->name, error);
  }
  for (const int id : in_model) ids.push_back(model_->from_model[static_cast<size_t>(id)]);
  return ids;
}

std::string SubwordModel::decode(std::span<const int32_t> ids) const {
  std::vector<int> in_model;
  for (const int32_t id : ids) {
    if (id < 0 || id >= size()) {
      fail("{}: wanted token ids from 0 to {}, found {}; the text was made with another model", model_->name,
           size() - 1, id);
    }
    if (id >= kUnknownId && !model_->byte_pair) in_model.push_back(model_->to_model[static_cast<size_t>(id)]);
  }
  if (model_->byte_pair) return model_->byte_pair->decode(ids);
  std::string text, error;
  if (!subword_backend().decode(model_->handle, in_model.data(), in_model.size(), into(text), into(error))) {
    fail("{}: this subword model cannot decode a line: {}", model_->name, error);
  }
  return text;
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

const std::string& SubwordModel::bytes() const {
  return model_->bytes;
}

uint64_t SubwordModel::checksum() const {
  return megin::checksum(model_->bytes);
}

}  // namespace megin::text
