#include "data/encode_split.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "base/stop_signal.h"
#include "data/class_labels.h"
#include "data/token_batch.h"

namespace megin::data {
namespace {

constexpr size_t kChunk = 1024;  // pairs encoded at once

struct Encoded {
  SpooledPair text;
  std::vector<int32_t> source;
  std::vector<int32_t> target;
};

// Takes encoded pairs in order.
class SplitWriter {
 public:
  explicit SplitWriter(const EncodeOptions& options)
      : options_(options), shards_(options.folder, options.split, options.shard_bytes) {
    if (options.classes != nullptr) encoded_.report.classes.resize(options.classes->size());
    if (options.keep_text && options.classes != nullptr) {
      labelled_.emplace(options.folder / (options.split + ".tsv"));
    } else if (options.keep_text) {
      if (options.pairs) source_.emplace(options.folder / (options.split + ".src"));
      target_.emplace(options.folder / (options.split + ".tgt"));
    }
  }

  void add(const Encoded& pair) {
    const bool labelled = options_.classes != nullptr;
    const auto longest = static_cast<int64_t>(std::max(pair.source.size(), pair.target.size())) +
                         (labelled ? kSentenceMarks : 1);
    if (options_.max_tokens > 0 && longest > options_.max_tokens) {
      if (pair.text.corpus >= encoded_.too_long.size()) encoded_.too_long.resize(pair.text.corpus + 1);
      ++encoded_.too_long[pair.text.corpus];
      return;
    }
    shards_.add({pair.source, pair.target, static_cast<int32_t>(pair.text.corpus)});
    if (source_) source_->add_line(pair.text.source);
    if (target_) target_->add_line(pair.text.target);
    if (labelled_) labelled_->add_line(pair.text.source + "\t" + pair.text.target);
    ++encoded_.report.pairs;
    if (labelled) {
      ++encoded_.report.classes[static_cast<size_t>(pair.source[0])];
    } else {
      encoded_.report.source.add(pair.source);
    }
    encoded_.report.target.add(pair.target);
  }

  EncodedSplit finish() {
    encoded_.report.shards = shards_.finish();
    if (source_) source_->finish();
    if (target_) target_->finish();
    if (labelled_) labelled_->finish();
    return std::move(encoded_);
  }

 private:
  const EncodeOptions& options_;
  ShardSequence shards_;
  std::optional<TextFile> source_, target_, labelled_;
  EncodedSplit encoded_;
};

void encode(const EncodeOptions& options, const SubwordPair& subwords, Encoded& pair) {
  if (options.classes == nullptr) {
    pair.source = subwords.source.encode(pair.text.source);
    pair.target = subwords.target.encode(pair.text.target);
    return;
  }
  pair.source = {class_of(pair.text.target, *options.classes, options.split)};
  pair.target = subwords.target.encode(pair.text.source);
}

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
        encode(options, tools.subwords, chunk[i]);
      }
    });
    for (size_t i = 0; i < filled; ++i) writer.add(chunk[i]);
    progress.advance(static_cast<int64_t>(filled));
    if (StopSignal::requested()) fail("stopped by a signal while encoding; nothing was written");
  }
  return writer.finish();
}

}  // namespace megin::data
