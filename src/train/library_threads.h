// The threads of the libraries beneath a training: libtorch's, and those of the matrix library, which
// libtorch does not pass on.
#pragma once

#include "net/forward_context.h"

namespace megin::train {

// For the whole process. Fused operations run products inside their own parallel parts, so that OpenBLAS gets
// one thread, and the bytes of a training do not depend on `threads`; plain operations leave the products to
// its threads, which cut sums by their number. Another matrix library than OpenBLAS keeps its own setting.
void set_library_threads(int threads, net::Operations operations);

}  // namespace megin::train
