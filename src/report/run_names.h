// What runs are called where several stand side by side.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace megin::report {

// The folder's whole path, without "." and ".." and a slash at the end.
std::filesystem::path whole_path(const std::filesystem::path& folder);

// The last parts of each folder's path, as many as it takes to tell all of them apart, and at most 20.
std::vector<std::string> run_names(const std::vector<std::filesystem::path>& folders);

}  // namespace megin::report
