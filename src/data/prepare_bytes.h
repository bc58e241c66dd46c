// Preparing a text of bytes (data.task bytes): its vocabulary, and shards that hold it as one sequence.
#pragma once

#include <array>
#include <filesystem>
#include <vector>

#include "base/console.h"
#include "config/data_config.h"
#include "data/prepare_report.h"
#include "text/subword.h"

namespace megin::data {

inline constexpr size_t kPieceSymbols = 1 << 16;  // of an example; the last one of a corpus is shorter

struct PreparedBytes {
  text::SubwordModel symbols;
  std::vector<CorpusReport> corpora;
  std::array<SplitReport, kSplits.size()> splits;
};

// Reads the corpora twice, to count and to encode: every byte in its order, unpacked where a file is packed;
// nothing else is changed, but newlines are left out where config.bytes drops them. The vocabulary is that of
// config.subword.model, or the bytes that occur in all sets, in the order of smoe_dropout spec 5.1. Sets are
// given, or cut from the end of the corpora by number of bytes, wherever that falls. Writes into `folder` the
// shards of the splits, and validation and test as they were (<split>.tgt). Memory does not depend on the
// text. Throws Error for what is wrong with a file and where the corpora are too short for the cuts.
PreparedBytes prepare_bytes(const config::DataConfig& config, const std::filesystem::path& folder,
                            Console& console);

}  // namespace megin::data
