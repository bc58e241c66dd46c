// For tests: run something once on each instruction set that this machine and this build have.
#pragma once

#include <gtest/gtest.h>

#include <string>

// Before Highway, which reads it.
// clang-format off
#include "base/highway_targets.h"
#include <hwy/targets.h>
// clang-format on

namespace megin {

template <typename Body>
void on_each_target(Body&& body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::GetChosenTarget().Update(target);
    body();
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// A test suite that runs once for each of them: TEST_P(Suite, ...) and MEGIN_ON_EACH_TARGET(Suite).
class OnEachTarget : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::GetChosenTarget().Update(GetParam()); }
  void TearDown() override { hwy::GetChosenTarget().Update(hwy::SupportedTargets()); }
};

#define MEGIN_ON_EACH_TARGET(suite)                                                                \
  INSTANTIATE_TEST_SUITE_P(Targets, suite, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()), \
                           [](const testing::TestParamInfo<int64_t>& info) -> std::string {        \
                             return hwy::TargetName(info.param);                                   \
                           })

}  // namespace megin
