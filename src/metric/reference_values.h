// For tests: values that scripts/make_metric_references.py computed with sacreBLEU.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/files.h"

namespace megin::metric {

inline nlohmann::json read_test_json(const std::string& name) {
  return nlohmann::json::parse(read_file(std::filesystem::path(MEGIN_TEST_FILES) / name));
}

}  // namespace megin::metric
