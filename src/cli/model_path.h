// Where a command's MODEL is.
#pragma once

#include <filesystem>
#include <string>

namespace megin::cli {

// The model directory itself, or the one in a run directory. Throws Error where there is none.
std::filesystem::path find_model(const std::string& given);

}  // namespace megin::cli
