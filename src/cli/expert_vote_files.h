// The votes of `megin analyze votes --json`, as another command reads them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "store/kept_experts.h"

namespace megin::cli {

// Of the weights of a model directory, by which votes know their model.
std::string weights_checksum(const std::filesystem::path& model);

// The sum of the votes in all files, which are of `model`, a model directory. Throws Error naming a file that
// holds something else, votes of another model's weights, or of other layers or experts than the first. One
// that does not say whose they are (an older megin's) is taken with a warning.
store::LayerVotes read_votes(const std::vector<std::string>& files, const std::filesystem::path& model);

}  // namespace megin::cli
