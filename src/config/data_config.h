// Data: corpora, cleaning, splits, the subword model. What `megin prepare` reads.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace megin::config {

// translation: pairs of a source and a target, for an encoder-decoder.
// language_model: a running text, line by line, for a causal_lm or a masked_lm.
// bytes: a text for a causal_lm whose symbols are single bytes; one sequence, in which lines mean nothing.
// classification: sentences, each with the label of its class, for a causal_lm or a masked_lm with a head.
enum class Task { kTranslation, kLanguageModel, kBytes, kClassification };
constexpr auto enum_names(Task) {
  return std::array<std::string_view, 4>{"translation", "language_model", "bytes", "classification"};
}

// A running text, not examples that stand by themselves.
constexpr bool is_text(Task task) {
  return task == Task::kLanguageModel || task == Task::kBytes;
}

// Whether an end mark stands behind each example.
constexpr bool has_end_marks(Task task) {
  return task != Task::kBytes;
}

struct CorpusConfig {
  std::string format = "auto";  // auto, plain, tsv, tmx, po, mo (each also .gz or .zst); a text is plain
  std::vector<std::string> paths = {};  // one file; two for plain pairs (source, target)
  double weight = 1.0;                  // how often a pair is drawn relative to other corpora's pairs
  std::string tag = {};             // target-language tag put before each source, e.g. "<2de>"; empty: none
  std::string source_column = "1";  // of TSV: its number from 1, or its name in the header; of classification
                                    // the sentence's
  std::string target_column = "2";  // of classification the label's
  bool header = false;     // TSV: the first line is no pair; a column or condition by name says so, too
  std::string where = {};  // TSV: the rows to take (config/row_condition.h); empty: all

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("format", self.format, "auto (by name), plain, tsv, tmx, po or mo");
    field("paths", self.paths, "one file, or two (source, target) for plain pairs");
    field("weight", self.weight, "how often a pair is drawn relative to other corpora's");
    field("tag", self.tag, "target-language tag put before each source; empty = none");
    field("source_column", self.source_column,
          "of TSV: its number from 1, or its name in the header; of classification the sentence's");
    field("target_column", self.target_column, "of TSV, likewise; of classification the label's");
    field("header", self.header, "TSV: skip the first line; names of columns say so, too");
    field("where", self.where, "TSV: rows to take, as \"fold = 0\" or \"fold != 0\"; empty = all");
  }
  bool operator==(const CorpusConfig&) const = default;
};

struct CleaningConfig {
  int64_t max_words = 250;      // of a side; 0: no limit
  int64_t max_bytes = 4000;     // of a side; 0: no limit
  double max_ratio = 3.0;       // of the sides' lengths in words (plus a small constant); 0: no limit
  bool drop_identical = true;   // source equals target
  bool drop_no_letters = true;  // a side of digits and signs only
  bool drop_duplicates = true;  // a pair that stood before
  bool drop_leaks = true;       // a training source that stands in valid or test

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("max_words", self.max_words, "words of a side; 0 = no limit");
    field("max_bytes", self.max_bytes, "bytes of a side; 0 = no limit");
    field("max_ratio", self.max_ratio, "of the sides' lengths; 0 = no limit");
    field("drop_identical", self.drop_identical, "drop pairs whose sides are equal");
    field("drop_no_letters", self.drop_no_letters, "drop pairs with a side of digits and signs only");
    field("drop_duplicates", self.drop_duplicates, "drop pairs that stood before");
    field("drop_leaks", self.drop_leaks, "drop training pairs whose source stands in valid or test");
  }
  bool operator==(const CleaningConfig&) const = default;
};

struct SplitConfig {
  std::vector<CorpusConfig> valid = {};  // given sets; empty: cut from the corpora by hash
  std::vector<CorpusConfig> test = {};
  int64_t valid_pairs = 1000;  // when cut
  int64_t test_pairs = 1000;

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("valid", self.valid, "given validation corpora; empty = cut by hash");
    field("test", self.test, "given test corpora; empty = cut by hash");
    field("valid_pairs", self.valid_pairs, "pairs cut for validation");
    field("test_pairs", self.test_pairs, "pairs cut for the test");
  }
  bool operator==(const SplitConfig&) const = default;
};

enum class SubwordKind { kUnigram, kBpe };
constexpr auto enum_names(SubwordKind) {
  return std::array<std::string_view, 2>{"unigram", "bpe"};
}

struct SubwordConfig {
  SubwordKind kind = SubwordKind::kUnigram;
  int64_t vocabulary = 8000;              // symbols, the four special ones included
  double coverage = 0.9995;               // share of characters that get a symbol of their own
  bool byte_fallback = true;              // characters without one are spelt in bytes: no unknowns
  bool joint = true;                      // one model for both sides
  bool mask_symbol = false;               // one of the symbols is <mask>, which no text has: for a masked_lm
  int64_t sample = 1000000;               // sentences that the model is trained on; 0: all
  std::vector<std::string> symbols = {};  // words that are one symbol each, on either side
  std::string model = {};         // an existing model, or vocabulary of bytes, to take over; empty: make one
  std::string target_model = {};  // the target side's when not joint

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("kind", self.kind, "how symbols are chosen");
    field("vocabulary", self.vocabulary, "symbols, special ones included");
    field("coverage", self.coverage, "share of characters with a symbol of their own");
    field("byte_fallback", self.byte_fallback, "spell other characters in bytes");
    field("joint", self.joint, "one model for both sides");
    field("mask_symbol", self.mask_symbol,
          "one of the symbols is <mask>, which no text has; true for a masked_lm");
    field("sample", self.sample, "sentences the model is trained on; 0 = all");
    field("symbols", self.symbols, "words that are one symbol each");
    field("model", self.model, "an existing SentencePiece model, or vocabulary of bytes; empty = make one");
    field("target_model", self.target_model, "the target side's when not joint");
  }
  bool operator==(const SubwordConfig&) const = default;
};

enum class Newlines { kKeep, kDrop };
constexpr auto enum_names(Newlines) {
  return std::array<std::string_view, 2>{"keep", "drop"};
}

// Of the task bytes.
struct BytesConfig {
  Newlines newlines = Newlines::kKeep;  // drop: bytes 10 are left out, as Transformer-XL reads enwik8
  int64_t valid_bytes = 0;  // cut from the end of the corpora, before the test's; newlines count; 0: none
  int64_t test_bytes = 0;   // cut from the very end

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("newlines", self.newlines, "of bytes: keep them, or drop them as Transformer-XL does");
    field("valid_bytes", self.valid_bytes, "of bytes: cut for validation, before the test's; 0 = none");
    field("test_bytes", self.test_bytes, "of bytes: cut for the test from the corpora's end; 0 = none");
  }
  bool operator==(const BytesConfig&) const = default;
};

struct DataConfig {
  Task task = Task::kTranslation;
  std::string output = {};             // folder made by `megin prepare`
  std::string source_language = "en";  // BCP 47, used to choose sides in TMX and printed in reports
  std::string target_language = "de";  // where there is one side only, the same as source_language
  std::vector<CorpusConfig> corpora = {};
  CleaningConfig cleaning = {};
  SplitConfig split = {};
  SubwordConfig subword = {};
  BytesConfig bytes = {};
  int64_t max_tokens = 256;  // of a side in subwords, end mark included (of classification two marks); longer
                             // training pairs are dropped and counted
  int64_t seed = 1;
  int64_t threads = 0;  // 0: all processors this process may use

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("task", self.task, "what the data is for");
    field("output", self.output, "folder made by `megin prepare`");
    field("source_language", self.source_language, "language of the source side, or of the text");
    field("target_language", self.target_language, "language of the target side");
    field("corpora", self.corpora, "what to read");
    field("cleaning", self.cleaning, "which pairs to drop");
    field("split", self.split, "validation and test sets");
    field("subword", self.subword, "the subword model");
    field("bytes", self.bytes, "what the task bytes reads");
    field("max_tokens", self.max_tokens, "longest side of a pair in subwords; longer pairs are dropped");
    field("seed", self.seed, "of the hashed split and of samples");
    field("threads", self.threads, "0 = all processors this process may use");
  }
  bool operator==(const DataConfig&) const = default;
};

// Throws UsageError naming the first field that cannot be.
void check(const DataConfig& config);

}  // namespace megin::config
