// Subword models: text to token ids and back, by SentencePiece (Kudo and Richardson 2018), whose file format
// it is, so that models may be exchanged with its tools; by single bytes (byte_vocabulary.h); or, of an
// imported model, by byte pairs (byte_pair.h) or word pieces (wordpiece.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/data_config.h"
#include "text/vocabulary.h"

namespace megin::text {

// What every text goes through before it becomes tokens: Unicode composition (NFC) and
// normalise_whitespace. Nothing else is changed (SentencePiece's usual NFKC would turn "…" into "..." and
// never give it back), so decode(encode(text)) == normalise_for_subwords(text) as long as no symbol is
// unknown.
std::string normalise_for_subwords(std::string_view text);

struct ByteVocabulary;

// A model of any kind, told apart by its file. Const in use and safe from any thread; copies share one
// model.
//
// Ids are megin's, not the model's: 0 to 3 are the special symbols of vocabulary.h, then come all other
// pieces in the order of the model. A model that `train_subword` made has this order itself; one from
// elsewhere (often <unk> <s> </s> at 0 to 2 and no <pad>) is renumbered when it is loaded.
//
// Where symbols are bytes a text is no lines: any piece of it may be encoded by itself, and nothing of it is
// normalised or stripped but newlines, where the vocabulary drops them.
class SubwordModel {
 public:
  // Throws Error naming the file when it cannot be read or is no subword model.
  explicit SubwordModel(const std::filesystem::path& path);

  // The same from the bytes of such a file; `name` stands in messages.
  static SubwordModel from_bytes(std::string bytes, const std::string& name);

  // Token ids of one line, without begin or end mark. A language tag ("<2de>") of this model that starts the
  // line is one id, and the space after it none; so are sentinels ("<extra_id_0>") of an imported T5
  // anywhere, with the spaces around them. Byte pairs take the line as it is; word pieces clean it in their
  // own way.
  std::vector<int32_t> encode(std::string_view line) const;

  // The text of token ids. Begin, end and padding are skipped; an unknown is " ⁇ ", of bytes U+FFFD. Throws
  // Error for an id outside [0, size()).
  std::string decode(std::span<const int32_t> ids) const;

  int64_t size() const;                 // symbols, special ones included
  std::string piece(int32_t id) const;  // as the model spells it: "▁the", "<s>", "<0x0A>". Same error
  std::optional<int32_t> id(std::string_view piece) const;  // nothing for a piece it does not have
  std::optional<int32_t> mask_id()
      const;  // of the mask symbol, "<mask>" or BERT's "[MASK]"; nothing: it has none
  const ByteVocabulary* byte_vocabulary() const;  // null where symbols are not bytes
  const std::string& bytes() const;               // the model file
  uint64_t checksum() const;                      // of bytes()

 private:
  struct Model;
  explicit SubwordModel(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  std::shared_ptr<const Model> model_;
};

// Gives the next training sentence; false at the end.
using SentenceSource = std::function<bool(std::string& sentence)>;

struct SubwordTraining {
  // kind, vocabulary, coverage, byte_fallback, mask_symbol and symbols, each of which is one symbol wherever
  // it stands behind a space or begins a sentence; the rest is for the caller.
  config::SubwordConfig config;
  std::vector<std::string> tags;  // language tags ("<2de>"), each one symbol that is never split
};

// Trains a model on the sentences of `next` and returns its file's bytes. SentencePiece holds all sentences
// in memory (about three times their size), so the caller gives a sample. Deterministic. `stage`, if given,
// is told in a few words what is going on. Throws Error, with the largest possible vocabulary when the text
// is too small for the one wanted; UsageError for tags that do not look like "<2de>".
std::string train_subword(const SubwordTraining& training, const SentenceSource& next,
                          const std::function<void(std::string_view)>& stage = {});

// Whether `tag` has the form of a language tag: "<2", a code without spaces, ">"; or, in imported models,
// ">>", a code, "<<".
bool is_language_tag(std::string_view tag);

}  // namespace megin::text
