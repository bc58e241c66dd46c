// The first half of preparing a language model's text: its lines, each in its split.
#pragma once

#include <filesystem>

#include "base/console.h"
#include "config/data_config.h"
#include "data/collect_pairs.h"

namespace megin::data {

// Reads the texts of `config` line by line in their order, empty lines too: nothing is dropped or moved,
// except that training lines that are not UTF-8 are left out and counted. A line becomes a pair without a
// source. Temporary files, without names, stand in `directory`. Memory does not depend on the texts. Throws
// Error for broken files, for a given set that is not UTF-8, and when there is nothing to train on.
CollectedPairs collect_text(const config::DataConfig& config, const std::filesystem::path& directory,
                            Console& console);

}  // namespace megin::data
