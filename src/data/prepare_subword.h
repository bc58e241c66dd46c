// The subword models of a data set: taken over, or trained on its training pairs.
#pragma once

#include <memory>
#include <string>

#include "base/console.h"
#include "config/data_config.h"
#include "data/pair_spool.h"
#include "text/subword.h"

namespace megin::data {

struct SubwordPair {
  text::SubwordModel source;
  text::SubwordModel target;  // the same model when joint
  std::string description;    // for the report
};

// Language tags of all sets, each once. Throws UsageError for one that is not like "<2de>".
std::vector<std::string> language_tags(const config::DataConfig& config);

// Models that are trained see a hashed sample of config.subword.sample sentences, every pair with the same
// chance whatever its corpus. Throws Error when a given model lacks a tag, UsageError for what cannot be.
SubwordPair make_subwords(const config::DataConfig& config, const PairSpool& train, Console& console);

}  // namespace megin::data
