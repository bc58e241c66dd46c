// For tests: run something once on each instruction set that this machine and this build have.
#pragma once

#include <gtest/gtest.h>

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

}  // namespace megin
