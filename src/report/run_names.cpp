#include "report/run_names.h"

#include <set>

namespace megin::report {
namespace {

namespace fs = std::filesystem;

std::string last_parts(const fs::path& path, int count) {
  fs::path name = path.filename(), rest = path.parent_path();
  for (; count > 1 && rest.has_filename(); --count, rest = rest.parent_path()) name = rest.filename() / name;
  return name.string();
}

}  // namespace

fs::path whole_path(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

std::vector<std::string> run_names(const std::vector<fs::path>& folders) {
  constexpr int kMostParts = 20;
  std::vector<std::string> names;
  for (int parts = 1; parts <= kMostParts; ++parts) {
    names.clear();
    for (const fs::path& folder : folders) names.push_back(last_parts(whole_path(folder), parts));
    if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) break;
  }
  return names;
}

}  // namespace megin::report
