#include "config/data_config.h"

#include <algorithm>
#include <utility>

#include "config/enums.h"
#include "config/require.h"
#include "config/row_condition.h"

namespace megin::config {
namespace {

void check_corpus(const CorpusConfig& c, const std::string& path) {
  static constexpr std::string_view kFormats[] = {"auto", "plain", "tsv", "tmx", "po", "mo"};
  require(std::find(std::begin(kFormats), std::end(kFormats), c.format) != std::end(kFormats),
          path + ".format", fmt::format("one of {}", fmt::join(kFormats, ", ")), "'" + c.format + "'");
  const size_t wanted = c.format == "plain" ? 2 : 1;
  if (c.format == "auto") {
    require(c.paths.size() == 1 || c.paths.size() == 2, path + ".paths", "one file, or two (source, target)",
            fmt::format("{} files", c.paths.size()));
  } else {
    require(c.paths.size() == wanted, path + ".paths",
            wanted == 2 ? "two files (source, target) for plain" : "one file for " + c.format,
            fmt::format("{}", c.paths.size()));
  }
  for (const std::string& file : c.paths)
    require(!file.empty(), path + ".paths", "names of files", "an empty one");
  require(c.weight > 0.0, path + ".weight", "a positive number", c.weight);
  for (const auto& [name, column] :
       {std::pair{".source_column", c.source_column}, {".target_column", c.target_column}}) {
    require(!column.empty() && column != "0", path + name, "a number from 1, or a name", "'" + column + "'");
  }
  require(c.source_column != c.target_column, path + ".target_column", "another column than the source's",
          c.target_column);
  if (!c.where.empty()) parse_row_condition(c.where, path + ".where");
}

void check_text(const CorpusConfig& c, const std::string& path) {
  require(c.format == "auto" || c.format == "plain", path + ".format",
          "auto or plain for the text of a language model", "'" + c.format + "'");
  require(c.paths.size() == 1, path + ".paths", "one file of text for a language model",
          fmt::format("{} files", c.paths.size()));
  require(!c.paths[0].empty(), path + ".paths", "the name of a file", "an empty one");
  require(c.weight == 1.0, path + ".weight", "1: a text is read as it runs", c.weight);
  require(c.tag.empty(), path + ".tag", "none for a language model", "'" + c.tag + "'");
  require(c.where.empty(), path + ".where", "none for a text, which has no rows", "'" + c.where + "'");
}

void check_labelled(const CorpusConfig& c, const std::string& path) {
  require(c.format == "auto" || c.format == "tsv", path + ".format",
          "auto or tsv for sentences with labels (data.task classification)", "'" + c.format + "'");
  require(c.paths.size() == 1, path + ".paths", "one TSV file of sentences with labels",
          fmt::format("{} files", c.paths.size()));
  require(c.tag.empty(), path + ".tag", "none for data.task classification", "'" + c.tag + "'");
  check_corpus(c, path);
}

void check_corpora(const DataConfig& config, const std::vector<CorpusConfig>& corpora,
                   const std::string& path) {
  for (size_t i = 0; i < corpora.size(); ++i) {
    const std::string place = fmt::format("{}.{}", path, i);
    if (config.task == Task::kTranslation) {
      check_corpus(corpora[i], place);
    } else if (config.task == Task::kClassification) {
      check_labelled(corpora[i], place);
    } else {
      check_text(corpora[i], place);
    }
  }
}

void check_cleaning(const CleaningConfig& c) {
  require(c.max_words >= 0, "data.cleaning.max_words", "0 (no limit) or more", c.max_words);
  require(c.max_bytes >= 0, "data.cleaning.max_bytes", "0 (no limit) or more", c.max_bytes);
  require(c.max_ratio == 0.0 || c.max_ratio >= 1.0, "data.cleaning.max_ratio", "0 (no limit), or 1 or more",
          c.max_ratio);
}

void check_subword(const SubwordConfig& c) {
  for (const std::string& word : c.symbols) {
    require(!word.empty() && word.find_first_of(" \t\n\r,\"") == std::string::npos, "data.subword.symbols",
            "words without spaces, commas and quotes", "'" + word + "'");
  }
  // The four special symbols, the 256 bytes and the mask symbol if asked for, those named, and one of its
  // own.
  const int64_t least =
      (c.byte_fallback ? 261 : 5) + (c.mask_symbol ? 1 : 0) + static_cast<int64_t>(c.symbols.size());
  if (c.model.empty()) {
    require(c.vocabulary >= least, "data.subword.vocabulary",
            fmt::format("{} or more{}", least, c.byte_fallback ? " (byte_fallback takes 256)" : ""),
            c.vocabulary);
  }
  require(c.coverage > 0.0 && c.coverage <= 1.0, "data.subword.coverage", "a share above 0, up to 1",
          c.coverage);
  require(c.sample >= 0, "data.subword.sample", "0 (all) or more", c.sample);
  require(c.target_model.empty() || !c.joint, "data.subword.target_model",
          "none, as data.subword.joint is true", "'" + c.target_model + "'");
  require(c.joint || c.model.empty() == c.target_model.empty(), "data.subword.target_model",
          "a model for both sides or for neither", "a model for one");
}

// What the task bytes does not read must be as it is by default.
template <typename T>
void check_unread(std::string_view path, const T& value, const T& standard) {
  require(value == standard, path, fmt::format("{}, as data.task bytes does not read it", standard), value);
}

void check_bytes(const DataConfig& c) {
  const DataConfig standard;
  require(c.bytes.valid_bytes >= 0, "data.bytes.valid_bytes", "0 (none) or more", c.bytes.valid_bytes);
  require(c.bytes.test_bytes >= 0, "data.bytes.test_bytes", "0 (none) or more", c.bytes.test_bytes);
  if (c.task != Task::kBytes) {
    require(c.bytes == standard.bytes, "data.bytes", "none of its keys, as data.task is not bytes", "some");
    return;
  }
  const bool cut = c.bytes.valid_bytes > 0 || c.bytes.test_bytes > 0;
  const bool given = !c.split.valid.empty() || !c.split.test.empty();
  require(!cut || !given, "data.bytes",
          "valid_bytes and test_bytes to cut, or data.split.valid and data.split.test as given sets", "both");
  require(c.bytes.valid_bytes > 0 || !c.split.valid.empty() || c.corpora.empty(), "data.bytes.valid_bytes",
          "bytes to cut for validation, or a text given as data.split.valid", "neither");
  check_unread("data.subword.kind", enum_name(c.subword.kind), enum_name(standard.subword.kind));
  check_unread("data.subword.vocabulary", c.subword.vocabulary, standard.subword.vocabulary);
  check_unread("data.subword.coverage", c.subword.coverage, standard.subword.coverage);
  check_unread("data.subword.byte_fallback", c.subword.byte_fallback, standard.subword.byte_fallback);
  check_unread("data.subword.mask_symbol", c.subword.mask_symbol, standard.subword.mask_symbol);
  require(c.subword.symbols.empty(), "data.subword.symbols", "none, as data.task bytes does not read them",
          fmt::format("{}", fmt::join(c.subword.symbols, ", ")));
  check_unread("data.subword.sample", c.subword.sample, standard.subword.sample);
  check_unread("data.split.valid_pairs", c.split.valid_pairs, standard.split.valid_pairs);
  check_unread("data.split.test_pairs", c.split.test_pairs, standard.split.test_pairs);
  check_unread("data.max_tokens", c.max_tokens, standard.max_tokens);
  require(c.cleaning == standard.cleaning, "data.cleaning", "none of its keys, as bytes are not cleaned",
          "some");
}

}  // namespace

void check(const DataConfig& c) {
  require(!c.source_language.empty(), "data.source_language", "a language, as en", "an empty text");
  require(!c.target_language.empty(), "data.target_language", "a language, as de", "an empty text");
  check_corpora(c, c.corpora, "data.corpora");
  check_cleaning(c.cleaning);
  check_corpora(c, c.split.valid, "data.split.valid");
  check_corpora(c, c.split.test, "data.split.test");
  check_bytes(c);
  if (c.task != Task::kTranslation) {
    require(c.subword.joint, "data.subword.joint",
            fmt::format("true for data.task {}, which has one side", enum_name(c.task)), false);
  }
  if (c.task == Task::kClassification) {
    require(c.cleaning.max_ratio == CleaningConfig{}.max_ratio, "data.cleaning.max_ratio",
            fmt::format("{}, as data.task classification does not read it", CleaningConfig{}.max_ratio),
            c.cleaning.max_ratio);
    require(c.max_tokens >= 3, "data.max_tokens", "3 or more: a sentence has a mark on either side",
            c.max_tokens);
  }
  if (c.task == Task::kLanguageModel) {
    require(!c.split.valid.empty() || c.corpora.empty(), "data.split.valid",
            "a text for validation: a running text is not cut by chance, as pairs are", "none");
  }
  require(c.split.valid_pairs >= 0, "data.split.valid_pairs", "0 or more", c.split.valid_pairs);
  require(c.split.test_pairs >= 0, "data.split.test_pairs", "0 or more", c.split.test_pairs);
  check_subword(c.subword);
  require(c.max_tokens >= 2, "data.max_tokens", "2 or more", c.max_tokens);
  require(c.threads >= 0, "data.threads", "0 (all processors) or more", c.threads);
}

}  // namespace megin::config
