#include "text/plain_readers.h"

#include <algorithm>

#include "base/error.h"
#include "text/line_reader.h"

namespace megin::text {
namespace {

class ParallelReader : public PairReader {
 public:
  ParallelReader(const std::filesystem::path& source, const std::filesystem::path& target)
      : source_(source), target_(target) {}

  bool next(Pair& pair) override {
    const bool has_source = source_.next(pair.source);
    const bool has_target = target_.next(pair.target);
    if (has_source != has_target) fail_unequal();
    pair.context.clear();
    pair.line = source_.line_number();
    return has_source;
  }

  std::string where() const override { return source_.where(); }

 private:
  [[noreturn]] void fail_unequal() {
    std::string line;
    while (source_.next(line)) {
    }
    while (target_.next(line)) {
    }
    fail(
        "wanted two files with the same number of lines, found {} lines in {} and {} in {}; align them line "
        "by line",
        source_.line_number(), source_.path().string(), target_.line_number(), target_.path().string());
  }

  LineReader source_;
  LineReader target_;
};

class TsvReader : public PairReader {
 public:
  TsvReader(const std::filesystem::path& path, const TsvColumns& columns) : lines_(path), columns_(columns) {
    for (int skipped = 0; skipped < columns.header_lines && lines_.next(line_); ++skipped) {
    }
  }

  bool next(Pair& pair) override {
    if (!lines_.next(line_)) return false;
    pair.context.clear();
    pair.line = lines_.line_number();
    const int wanted = std::max(columns_.source, columns_.target);
    size_t begin = 0;
    for (int column = 1; column <= wanted; ++column) {
      if (begin > line_.size())
        fail(
            "{}: wanted at least {} columns between tabs, found {}; correct the line or choose other columns",
            where(), wanted, column - 1);
      const size_t end = std::min(line_.find('\t', begin), line_.size());
      if (column == columns_.source) pair.source.assign(line_, begin, end - begin);
      if (column == columns_.target) pair.target.assign(line_, begin, end - begin);
      begin = end + 1;
    }
    return true;
  }

  std::string where() const override { return lines_.where(); }

 private:
  LineReader lines_;
  TsvColumns columns_;
  std::string line_;
};

}  // namespace

std::unique_ptr<PairReader> open_parallel(const std::filesystem::path& source,
                                          const std::filesystem::path& target) {
  return std::make_unique<ParallelReader>(source, target);
}

std::unique_ptr<PairReader> open_tsv(const std::filesystem::path& path, const TsvColumns& columns) {
  return std::make_unique<TsvReader>(path, columns);
}

}  // namespace megin::text
