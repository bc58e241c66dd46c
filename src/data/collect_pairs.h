// The first half of preparing: from corpora to clean pairs, each in its split. A sentence with its label is a
// pair of both.
#pragma once

#include <array>
#include <filesystem>
#include <vector>

#include "base/console.h"
#include "config/data_config.h"
#include "data/pair_spool.h"
#include "data/prepare_report.h"

namespace megin::data {

struct CollectedPairs {
  std::array<PairSpool, kSplits.size()> splits;  // in the order of kSplits; sources have their tag
  std::array<bool, kSplits.size()> given{};      // which splits were given, not cut
  std::vector<CorpusReport> corpora;
};

// Reads, cleans, deduplicates and splits the corpora of `config`. Text of given splits is taken as it is,
// except that line ends inside become spaces. Temporary files, without names, stand in `directory`: about
// twice the size of the text. Memory does not depend on the corpora. Throws Error for broken files and when
// nothing is left.
CollectedPairs collect_pairs(const config::DataConfig& config, const std::filesystem::path& directory,
                             Console& console);

// "<2de> text" without "<2de> ", when `tag` is "<2de>".
std::string_view without_tag(std::string_view source, std::string_view tag);

}  // namespace megin::data
