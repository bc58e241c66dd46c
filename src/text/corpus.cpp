#include "text/corpus.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/error.h"
#include "text/mo_reader.h"
#include "text/plain_readers.h"
#include "text/po_reader.h"
#include "text/tmx_reader.h"

namespace megin::text {
namespace {

constexpr std::array<std::pair<std::string_view, CorpusFormat>, 6> kFormats = {{
    {"auto", CorpusFormat::kAuto},
    {"parallel", CorpusFormat::kParallel},
    {"tsv", CorpusFormat::kTsv},
    {"tmx", CorpusFormat::kTmx},
    {"po", CorpusFormat::kPo},
    {"mo", CorpusFormat::kMo},
}};

// The format that a name tells, or kAuto.
CorpusFormat format_of_name(const std::filesystem::path& path) {
  std::filesystem::path name = path.filename();
  const auto extension = [&] {
    std::string text = name.extension().string();
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  if (extension() == ".gz" || extension() == ".zst") name = name.stem();
  const std::string last = extension();
  if (last == ".tmx") return CorpusFormat::kTmx;
  if (last == ".po" || last == ".pot") return CorpusFormat::kPo;
  if (last == ".mo" || last == ".gmo") return CorpusFormat::kMo;
  if (last == ".tsv") return CorpusFormat::kTsv;
  return CorpusFormat::kAuto;
}

std::unique_ptr<PairReader> open_file(const CorpusSpec& spec, CorpusFormat format,
                                      const std::filesystem::path& path) {
  switch (format) {
    case CorpusFormat::kTsv:
      return open_tsv(
          path, {.columns = {spec.columns[0], spec.columns[1]}, .header = spec.header, .where = spec.where});
    case CorpusFormat::kTmx:
      return open_tmx(path, {spec.source_language, spec.target_language});
    case CorpusFormat::kPo:
      return open_po(path, spec.catalogue);
    case CorpusFormat::kMo:
      return open_mo(path, spec.catalogue);
    case CorpusFormat::kParallel:
    case CorpusFormat::kAuto:
      break;
  }
  fail_usage("a corpus of format '{}' is not read file by file", corpus_format_name(format));
}

// The files of a corpus one after the other.
class FileSequence : public PairReader {
 public:
  FileSequence(const CorpusSpec& spec, CorpusFormat format)
      : spec_(spec), format_(format), reader_(open_file(spec, format, spec.paths.front())) {}

  bool next(Pair& pair) override {
    while (!reader_->next(pair)) {
      if (file_ + 1 == spec_.paths.size()) return false;
      reader_ = open_file(spec_, format_, spec_.paths[++file_]);
    }
    return true;
  }

  std::string where() const override { return reader_->where(); }

 private:
  CorpusSpec spec_;
  CorpusFormat format_;
  std::unique_ptr<PairReader> reader_;
  size_t file_ = 0;
};

class SwappedReader : public PairReader {
 public:
  explicit SwappedReader(std::unique_ptr<PairReader> reader) : reader_(std::move(reader)) {}

  bool next(Pair& pair) override {
    if (!reader_->next(pair)) return false;
    std::swap(pair.source, pair.target);
    return true;
  }

  std::string where() const override { return reader_->where(); }

 private:
  std::unique_ptr<PairReader> reader_;
};

void require_sensible(const CorpusSpec& spec, CorpusFormat format) {
  if (format == CorpusFormat::kParallel && spec.paths.size() != 2)
    fail_usage("a parallel corpus is two files (source, target), found {}", spec.paths.size());
  if (format != CorpusFormat::kTsv && !spec.where.empty())
    fail_usage("only rows of TSV can be chosen by a condition; found \"{}\" for {} ({})", spec.where,
               spec.paths.front().string(), corpus_format_name(format));
  if (format == CorpusFormat::kTmx && (spec.source_language.empty() || spec.target_language.empty()))
    fail_usage("a TMX corpus needs its source and target language, such as 'en' and 'de'");
  for (const auto& path : spec.paths)
    if (!std::filesystem::exists(path))
      fail("{}: this corpus file does not exist; correct its path", path.string());
}

}  // namespace

CorpusFormat corpus_format(std::string_view name) {
  std::string known;
  for (const auto& [format_name, format] : kFormats) {
    if (format_name == name) return format;
    known += (known.empty() ? "" : ", ") + std::string(format_name);
  }
  fail_usage("wanted a corpus format ({}), found '{}'", known, name);
}

std::string_view corpus_format_name(CorpusFormat format) {
  return kFormats[static_cast<size_t>(format)].first;
}

CorpusFormat detect_format(const CorpusSpec& spec) {
  if (spec.format != CorpusFormat::kAuto) return spec.format;
  if (spec.paths.empty()) fail_usage("wanted the files of a corpus, found none");
  const CorpusFormat first = format_of_name(spec.paths.front());
  const bool same = std::all_of(spec.paths.begin(), spec.paths.end(),
                                [&](const auto& path) { return format_of_name(path) == first; });
  if (same && first != CorpusFormat::kAuto) return first;
  if (same && spec.paths.size() == 2) return CorpusFormat::kParallel;
  fail_usage("cannot tell the format of '{}' from its name; set it to parallel, tsv, tmx, po or mo",
             spec.paths.front().string());
}

std::unique_ptr<PairReader> open_corpus(const CorpusSpec& spec) {
  const CorpusFormat format = detect_format(spec);
  if (spec.paths.empty()) fail_usage("wanted the files of a corpus, found none");
  require_sensible(spec, format);
  std::unique_ptr<PairReader> reader;
  if (format == CorpusFormat::kParallel)
    reader = open_parallel(spec.paths[0], spec.paths[1]);
  else
    reader = std::make_unique<FileSequence>(spec, format);
  if (spec.swap_sides) reader = std::make_unique<SwappedReader>(std::move(reader));
  return reader;
}

}  // namespace megin::text
