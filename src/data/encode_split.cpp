#include "data/encode_split.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "base/stop_signal.h"
#include "data/example_set.h"
#include "text/vocabulary.h"

namespace megin::data {
namespace {

constexpr size_t kChunk = 1024;  // pairs encoded at once

struct Encoded {
  SpooledPair text;
  std::vector<int32_t> source;
  std::vector<int32_t> target;
};

// Lines of text beside the shards.
class TextFile {
 public:
  explicit TextFile(const std::filesystem::path& path) : path_(path), out_(path, std::ios::binary) {}
  void add(const std::string& line) { out_ << line << '\n'; }
  void finish() {
    out_.close();
    if (!out_) fail("{}: cannot write this file; is the disk full?", path_.string());
  }

 private:
  std::filesystem::path path_;
  std::ofstream out_;
};

void count(SideReport& side, const std::vector<int32_t>& ids) {
  side.tokens += ids.size();
  side.unknowns += static_cast<uint64_t>(std::count(ids.begin(), ids.end(), text::kUnknownId));
  side.lengths.add(ids.size());
}

// Takes encoded pairs in order.
class SplitWriter {
 public:
  explicit SplitWriter(const EncodeOptions& options) : options_(options) {
    if (options.keep_text) {
      if (options.pairs) source_.emplace(options.folder / (options.split + ".src"));
      target_.emplace(options.folder / (options.split + ".tgt"));
    }
  }

  void add(const Encoded& pair) {
    const auto longest = static_cast<int64_t>(std::max(pair.source.size(), pair.target.size())) + 1;
    if (options_.max_tokens > 0 && longest > options_.max_tokens) {
      if (pair.text.corpus >= encoded_.too_long.size()) encoded_.too_long.resize(pair.text.corpus + 1);
      ++encoded_.too_long[pair.text.corpus];
      return;
    }
    if (!shard_) {
      const auto number = static_cast<int64_t>(encoded_.report.shards++);
      shard_.emplace(shard_path(options_.folder, options_.split, number));
    }
    shard_->add({pair.source, pair.target, static_cast<int32_t>(pair.text.corpus)});
    if (shard_->bytes() >= options_.shard_bytes) finish_shard();
    if (source_) source_->add(pair.text.source);
    if (target_) target_->add(pair.text.target);
    ++encoded_.report.pairs;
    count(encoded_.report.source, pair.source);
    count(encoded_.report.target, pair.target);
  }

  EncodedSplit finish() {
    if (shard_) finish_shard();
    if (source_) source_->finish();
    if (target_) target_->finish();
    return std::move(encoded_);
  }

 private:
  void finish_shard() {
    shard_->finish();
    shard_.reset();
  }

  const EncodeOptions& options_;
  std::optional<ShardWriter> shard_;
  std::optional<TextFile> source_, target_;
  EncodedSplit encoded_;
};

}  // namespace

EncodedSplit encode_split(const PairSpool& pairs, const EncodeOptions& options, const EncodeTools& tools) {
  Progress progress({.label = "encode " + options.split,
                     .unit = options.pairs ? "pairs" : "lines",
                     .total = static_cast<int64_t>(pairs.size())},
                    tools.console);
  SplitWriter writer(options);
  SpoolReader reader(pairs);
  std::vector<Encoded> chunk(kChunk);
  for (size_t filled = kChunk; filled == kChunk;) {
    for (filled = 0; filled < kChunk && reader.next(chunk[filled].text);) ++filled;
    tools.pool.parallel_for(0, static_cast<int64_t>(filled), 64, [&](int64_t from, int64_t to) {
      for (auto i = static_cast<size_t>(from); i < static_cast<size_t>(to); ++i) {
        chunk[i].source = tools.subwords.source.encode(chunk[i].text.source);
        chunk[i].target = tools.subwords.target.encode(chunk[i].text.target);
      }
    });
    for (size_t i = 0; i < filled; ++i) writer.add(chunk[i]);
    progress.advance(static_cast<int64_t>(filled));
    if (StopSignal::requested()) fail("stopped by a signal while encoding; nothing was written");
  }
  return writer.finish();
}

}  // namespace megin::data
