// Parallel text from the files that people have: two plain files, TSV, TMX 1.4, and the gettext catalogues PO
// and MO, each also compressed. All stream: memory does not grow with a corpus.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace megin::text {

// One example as the file has it: not yet cleaned, perhaps not even valid UTF-8 (text/cleaning.h decides).
struct Pair {
  std::string source;
  std::string target;
  std::string context;  // PO and MO: msgctxt; empty elsewhere
  uint64_t line = 0;    // where it began: line of the file, from 1; in MO the number of the entry
};

// A corpus that is read once, from front to end. One reader is for one thread at a time.
class PairReader {
 public:
  virtual ~PairReader() = default;

  // Puts the next pair into `pair` and returns true; false at the end. The same files give the same pairs
  // in the same order every time. Throws Error, with file and line, for broken files.
  virtual bool next(Pair& pair) = 0;

  // "file:line" of the pair that next() gave last, for messages.
  virtual std::string where() const = 0;
};

enum class CorpusFormat { kAuto, kParallel, kTsv, kTmx, kPo, kMo };

// How the strings of user-interface catalogues (PO, MO) become sentences; nothing else looks at it. Always:
// white space is made plain, and the "Context|" of glib's Q_() is taken off a msgid whose translation has no
// "|".
struct CatalogueOptions {
  // Keyboard-accelerator marks to take off ("_File", "&Datei", "Spei~chern", and whole "(_F)" at the end of
  // Chinese or Japanese labels). A mark goes only when it is the only one on its side, a letter follows, and
  // the word it stands in is not on the other side too (so snake_case names stay). Empty: leave all marks.
  std::string accelerator_marks = "_&~";

  // An entry of several lines becomes one pair a line if both sides have the same number of lines and all
  // but the last end a sentence or item (". : ; ! ?") or stand before an empty line; otherwise its lines were
  // wrapped, and are joined by a space. Off: always joined.
  bool split_lines = true;
};

// One corpus of a run.
struct CorpusSpec {
  // kAuto looks at the names, without .gz or .zst: .tmx, .po, .pot, .mo, .gmo and .tsv say what they are; two
  // other names are a parallel pair of plain files.
  CorpusFormat format = CorpusFormat::kAuto;

  // kParallel: the source file, then the target file. All others: one or more files, read one after the
  // other.
  std::vector<std::filesystem::path> paths;

  // Language codes ("de", "pt-BR"). TMX needs them to choose among its variants: "de" takes "de-AT" and
  // "de-DE" takes "de", an equal code wins, upper and lower case are the same. The other formats do not look
  // at them.
  std::string source_language;
  std::string target_language;

  // kTsv: the source's and the target's column, whether the first line is a header, and which rows to take
  // (text/tsv_rows.h).
  std::array<std::string, 2> columns = {"1", "2"};
  bool header = false;
  std::string where;

  // Hand out every pair with its sides exchanged: translating out of a catalogue's language into English.
  bool swap_sides = false;

  CatalogueOptions catalogue;

  // Not used by the readers; they travel to whoever mixes corpora. How often this corpus is drawn relative
  // to the others (> 0), and the tag put before sources to name the target language (empty: none).
  double weight = 1.0;
  std::string target_tag;
};

// "auto", "parallel", "tsv", "tmx", "po", "mo" and back. Throws UsageError, listing them, for other names.
CorpusFormat corpus_format(std::string_view name);
std::string_view corpus_format_name(CorpusFormat format);

// What kAuto means for `spec`; its format when that is not kAuto. Throws UsageError when the names do not
// say.
CorpusFormat detect_format(const CorpusSpec& spec);

// Opens the first file of `spec`. Throws UsageError for a specification that cannot be right (number of
// files, columns, missing language codes), Error for files that cannot be opened.
std::unique_ptr<PairReader> open_corpus(const CorpusSpec& spec);

}  // namespace megin::text
