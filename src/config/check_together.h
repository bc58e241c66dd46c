// What the sections of a recipe cannot be beside each other; check() of each looks at it alone.
#pragma once

#include "config/fields.h"
#include "config/run_config.h"

namespace megin::config {

// `given`: what the recipe gave. Throws UsageError naming the first field that cannot be. Routing that
// nothing reads becomes the default where `config` is that of a run begun by a version that accepted it.
void check_together(RunConfig& config, const Given& given);

}  // namespace megin::config
