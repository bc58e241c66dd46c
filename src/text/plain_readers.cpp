#include "text/plain_readers.h"

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
  TsvReader(const std::filesystem::path& path, const TsvOptions& options) : rows_(path, options) {}

  bool next(Pair& pair) override {
    if (!rows_.next(values_)) return false;
    pair.source = values_[0];
    pair.target = values_[1];
    pair.context.clear();
    pair.line = rows_.line_number();
    return true;
  }

  std::string where() const override { return rows_.where(); }

 private:
  TsvRows rows_;
  std::vector<std::string_view> values_;
};

}  // namespace

std::unique_ptr<PairReader> open_parallel(const std::filesystem::path& source,
                                          const std::filesystem::path& target) {
  return std::make_unique<ParallelReader>(source, target);
}

std::unique_ptr<PairReader> open_tsv(const std::filesystem::path& path, const TsvOptions& options) {
  return std::make_unique<TsvReader>(path, options);
}

}  // namespace megin::text
