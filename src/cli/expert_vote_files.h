// The votes of `megin analyze votes --json`, as another command reads them.
#pragma once

#include <string>
#include <vector>

#include "store/kept_experts.h"

namespace megin::cli {

// The sum of the votes in all files. Throws Error naming a file that holds something else, or votes of other
// layers or experts than the first.
store::LayerVotes read_votes(const std::vector<std::string>& files);

}  // namespace megin::cli
