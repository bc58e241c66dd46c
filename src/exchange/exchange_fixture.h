// For tests: a copy of a checkpoint of test_files that may be changed, and what transformers computes with
// it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "exchange/plan.h"

namespace megin::exchange {

class CheckpointTest : public testing::Test {
 protected:
  explicit CheckpointTest(const std::string& name) : name_(name) {}

  void SetUp() override {
    const std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
    root_ = std::filesystem::path(testing::TempDir()) / ("megin_exchange_" + name_ + "_" + test);
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    folder_ = root_ / name_;
    std::filesystem::copy(std::filesystem::path(MEGIN_TEST_FILES) / name_, folder_);
    expected_ = nlohmann::json::parse(read_file(folder_ / "expected.json"));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& file, const std::string& text) {
    std::ofstream(folder_ / file, std::ios::binary | std::ios::trunc) << text;
  }
  // A key of config.json.
  void set(const std::string& key, const nlohmann::json& value) {
    auto config = nlohmann::json::parse(read_file(folder_ / "config.json"));
    config[key] = value;
    write("config.json", config.dump());
  }
  std::string refusal() const {
    try {
      import_tensors(read_plan(folder_), SourceTensors(folder_));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  // Their ids of megin's.
  static std::vector<int64_t> rows(const Plan& plan, const std::vector<int32_t>& ids) {
    std::vector<int64_t> found;
    for (const int32_t id : ids) found.push_back(plan.symbols.at(static_cast<size_t>(id)).row);
    return found;
  }

  // Exporting what was imported gives every tensor of the source back, bit for bit; `left_out` it may lack.
  static void expect_round_trip(const std::filesystem::path& folder,
                                const std::vector<std::string>& left_out) {
    const Plan plan = read_plan(folder);
    const SourceTensors source(folder);
    const auto back = export_tensors(plan, import_tensors(plan, source), kept_tensors(plan, source));
    for (const auto& [name, tensor] : source.all()) {
      if (std::ranges::find(left_out, name) != left_out.end()) continue;
      const auto found = std::ranges::find(back, name, &store::FloatTensor::name);
      ASSERT_NE(found, back.end()) << name;
      EXPECT_EQ(found->shape, tensor.shape) << name;
      EXPECT_EQ(found->values, tensor.read()) << name;
    }
    EXPECT_EQ(back.size() + left_out.size(), source.all().size());
  }

  std::string name_;
  std::filesystem::path root_, folder_;
  nlohmann::json expected_;
};

}  // namespace megin::exchange
