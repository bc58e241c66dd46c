// A directory for one test, empty at its beginning and removed at its end.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/error.h"

namespace megin::store {

class TestFolder : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        std::filesystem::path(testing::TempDir()) / (std::string("megin_") + test->test_suite_name() + "_" +
                                                     test->name() + "_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

// The message of the Error that `call` throws; fails the test when it throws none.
template <typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const megin::Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "wanted an Error";
  return "";
}

}  // namespace megin::store
