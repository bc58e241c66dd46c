// The second half of preparing: pairs of text become shards of tokens.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/console.h"
#include "base/thread_pool.h"
#include "data/pair_spool.h"
#include "data/prepare_report.h"
#include "data/prepare_subword.h"
#include "data/split_files.h"

namespace megin::data {

struct EncodeOptions {
  std::filesystem::path folder;  // where the files go
  std::string split;             // "train", "valid" or "test": their name
  int64_t max_tokens = 0;        // of a side with its end mark; longer pairs are left out; 0: no limit
  bool keep_text = false;        // also write <split>.src and <split>.tgt, a line an example
  bool pairs = true;             // false: a running text, whose lines have no source
  // Of pairs of a sentence and its label, the labels by class: an example's source is then its class and its
  // target the sentence, and the text is <split>.tsv. Null: sides are what they are.
  const std::vector<std::string>* classes = nullptr;
  int64_t shard_bytes = kShardBytes;  // a new shard begins above it
};

// What does the work.
struct EncodeTools {
  const SubwordPair& subwords;
  ThreadPool& pool;
  Console& console;
};

struct EncodedSplit {
  SplitReport report;
  std::vector<uint64_t> too_long;  // of each corpus, as far as there are any
};

// Encodes the pairs on all threads of the pool and writes them in their order, so that the files are the same
// at any number of threads. Memory: a thousand pairs, and 16 bytes for each pair of a shard. Throws Error for
// a label that is no class.
EncodedSplit encode_split(const PairSpool& pairs, const EncodeOptions& options, const EncodeTools& tools);

}  // namespace megin::data
