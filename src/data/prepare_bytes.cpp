#include "data/prepare_bytes.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/human_text.h"
#include "base/progress.h"
#include "base/stop_signal.h"
#include "config/enums.h"
#include "data/split_files.h"
#include "text/byte_stream.h"
#include "text/byte_vocabulary.h"

namespace megin::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReadBytes = 1 << 16;

// Bytes of each list of corpora: those to train on (and to cut from), valid, test.
using Sizes = std::array<uint64_t, kSplits.size()>;

struct Piece {
  size_t list = 0;      // as in Sizes
  uint32_t corpus = 0;  // number in its list
  std::string_view bytes;
};

using Corpora = std::array<const std::vector<config::CorpusConfig>*, kSplits.size()>;

Corpora corpora_of(const config::DataConfig& config) {
  return {&config.corpora, &config.split.valid, &config.split.test};
}

// All bytes in their order.
void read_all(const Corpora& corpora, Progress& progress, const std::function<void(const Piece&)>& take) {
  std::vector<char> buffer(kReadBytes);
  for (size_t list = 0; list < corpora.size(); ++list) {
    for (uint32_t corpus = 0; corpus < corpora[list]->size(); ++corpus) {
      const auto stream = text::open_bytes((*corpora[list])[corpus].paths[0]);
      progress.set_tail(stream->path().filename().string());
      while (const size_t got = stream->read(buffer)) {
        if (StopSignal::requested()) fail("stopped by a signal while reading; nothing was written");
        progress.advance(static_cast<int64_t>(got));
        take({list, corpus, {buffer.data(), got}});
      }
    }
  }
}

// Encodes the bytes of one split. Examples have kPieceSymbols, so that files do not depend on how they are
// read.
class SplitWriter {
 public:
  SplitWriter(const fs::path& folder, size_t split, const text::SubwordModel& symbols)
      : symbols_(symbols), shards_(folder, kSplits[split]) {
    if (split > 0) text_.emplace(folder / (std::string(kSplits[split]) + ".tgt"));
  }

  void add(uint32_t corpus, std::string_view bytes) {
    if (corpus != corpus_) write_all();
    corpus_ = corpus;
    if (text_) text_->add(bytes);
    report_.bytes += bytes.size();
    const std::vector<int32_t> ids = symbols_.encode(bytes);
    waiting_.insert(waiting_.end(), ids.begin(), ids.end());
    size_t begin = 0;
    for (; waiting_.size() - begin >= kPieceSymbols; begin += kPieceSymbols) write(begin, kPieceSymbols);
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(begin));
  }

  SplitReport finish() {
    write_all();
    report_.shards = shards_.finish();
    if (text_) text_->finish();
    return std::move(report_);
  }

 private:
  void write(size_t begin, size_t count) {
    const auto piece = std::span<const int32_t>(waiting_).subspan(begin, count);
    shards_.add({.source = {}, .target = piece, .corpus = static_cast<int32_t>(corpus_)});
    ++report_.pairs;
    report_.target.add(piece);
  }

  void write_all() {
    if (!waiting_.empty()) write(0, waiting_.size());
    waiting_.clear();
  }

  const text::SubwordModel& symbols_;
  ShardSequence shards_;
  std::optional<TextFile> text_;
  std::vector<int32_t> waiting_;
  uint32_t corpus_ = 0;
  SplitReport report_;
};

// In which split each byte of the corpora is.
class Cuts {
 public:
  Cuts(const config::BytesConfig& config, uint64_t corpora_bytes) {
    const auto valid = static_cast<uint64_t>(config.valid_bytes),
               test = static_cast<uint64_t>(config.test_bytes);
    if (valid >= corpora_bytes || test >= corpora_bytes - valid) {
      fail(
          "data.bytes: wanted corpora of more than the {} bytes that are cut for validation and test, found "
          "{}; "
          "check data.corpora, or lower valid_bytes and test_bytes",
          valid + test, corpora_bytes);
    }
    begins_ = {0, corpora_bytes - valid - test, corpora_bytes - test};
  }

  // Calls `take` with each split that has a part of the next bytes, and the part.
  void next(std::string_view bytes, const std::function<void(size_t, std::string_view)>& take) {
    for (size_t split = 0; split < kSplits.size(); ++split) {
      const bool last = split + 1 == kSplits.size();
      const uint64_t left = last ? bytes.size() : begins_[split + 1] - std::min(begins_[split + 1], at_);
      const std::string_view part = bytes.substr(0, left);
      if (!part.empty()) take(split, part);
      bytes.remove_prefix(part.size());
      at_ += part.size();
    }
  }

 private:
  Sizes begins_{};
  uint64_t at_ = 0;  // bytes before the next ones
};

// The vocabulary that is given, or of the bytes that were counted.
text::SubwordModel symbols_of(const config::DataConfig& config, const text::ByteCounts& counts) {
  if (config.subword.model.empty()) {
    return text::SubwordModel::from_bytes(text::to_file(counts.vocabulary(config.bytes.newlines)),
                                          "the new vocabulary");
  }
  text::SubwordModel given{fs::path(config.subword.model)};
  const text::ByteVocabulary* const vocabulary = given.byte_vocabulary();
  if (vocabulary == nullptr) {
    fail("{}: wanted a vocabulary of bytes for data.task bytes, found a SentencePiece model",
         config.subword.model);
  }
  if (vocabulary->newlines != config.bytes.newlines) {
    fail("{}: this vocabulary has newlines: {}, and data.bytes.newlines is {}", config.subword.model,
         config::enum_name(vocabulary->newlines), config::enum_name(config.bytes.newlines));
  }
  return given;
}

std::vector<CorpusReport> start_reports(const std::vector<config::CorpusConfig>& corpora) {
  std::vector<CorpusReport> reports;
  for (const config::CorpusConfig& corpus : corpora)
    reports.push_back({.name = fs::path(corpus.paths[0]).filename().string(), .counts = {}});
  return reports;
}

}  // namespace

PreparedBytes prepare_bytes(const config::DataConfig& config, const fs::path& folder, Console& console) {
  const Corpora corpora = corpora_of(config);
  Sizes sizes{};
  text::ByteCounts counts;
  {
    Progress progress({.label = "count", .unit = "bytes"}, console);
    read_all(corpora, progress, [&](const Piece& piece) {
      sizes[piece.list] += piece.bytes.size();
      counts.add(piece.bytes);
    });
  }
  Cuts cuts(config.bytes, sizes[0]);
  PreparedBytes prepared{symbols_of(config, counts), start_reports(config.corpora), {}};
  std::vector<SplitWriter> writers;
  for (size_t split = 0; split < kSplits.size(); ++split)
    writers.emplace_back(folder, split, prepared.symbols);
  Progress progress({.label = "encode",
                     .unit = "bytes",
                     .total = static_cast<int64_t>(std::reduce(sizes.begin(), sizes.end()))},
                    console);
  Sizes again{};
  read_all(corpora, progress, [&](const Piece& piece) {
    again[piece.list] += piece.bytes.size();
    if (piece.list > 0) {
      writers[piece.list].add(piece.corpus, piece.bytes);
      return;
    }
    CorpusReport& report = prepared.corpora[piece.corpus];
    report.counts.add(text::Verdict::kKeep, piece.bytes.size());
    cuts.next(piece.bytes, [&](size_t split, std::string_view part) {
      writers[split].add(piece.corpus, part);
      report.split[split] += part.size();
    });
  });
  if (again != sizes) fail("a corpus changed while it was read; prepare it again when it stands still");
  for (size_t split = 0; split < kSplits.size(); ++split) {
    prepared.splits[split] = writers[split].finish();
    prepared.splits[split].given = split > 0 && !corpora[split]->empty();
  }
  if (prepared.splits[0].target.tokens == 0) fail("no byte is left to train on; check data.corpora");
  return prepared;
}

}  // namespace megin::data
