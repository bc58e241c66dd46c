// For tests: recipes in a folder of their own, read with an environment of their own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "config/run_config.h"

namespace megin::config {

class RecipeTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / "run_config" /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    write_file_atomically(folder_ / name, text);
  }

  RunConfig load(const std::string& name, const std::vector<std::string>& overrides = {}) {
    return load_run_config(path(name), overrides, [this](const std::string& variable) {
      const auto found = environment_.find(variable);
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    });
  }

  RunConfig load_text(const std::string& text, const std::vector<std::string>& overrides = {}) {
    write("recipe.yaml", text);
    return load("recipe.yaml", overrides);
  }

  // The message of the UsageError that the recipe causes, without the folder.
  std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
    try {
      load_text(text, overrides);
    } catch (const UsageError& error) {
      std::string message = error.what();
      const std::string prefix = folder_.string() + "/";
      for (size_t at; (at = message.find(prefix)) != std::string::npos;) message.erase(at, prefix.size());
      return message;
    }
    return "(no UsageError)";
  }

  std::filesystem::path folder_;
  std::map<std::string, std::string> environment_;
};

}  // namespace megin::config
