// The threads of the libraries beneath a training: libtorch's, and those of the matrix library, which
// libtorch does not pass on.
#pragma once

#include "net/forward_context.h"

namespace megin::train {

// For the whole process. Fused operations multiply with kernels of their own (src/matrix) inside their own
// parallel parts, so that OpenBLAS, which serves what has no fused form, gets one thread, and the bytes of a
// training do not depend on `threads`; with plain operations it gets all threads and cuts sums by their
// number. Another matrix library than OpenBLAS keeps its own setting.
void set_library_threads(int threads, net::Operations operations);

// OpenMP's threads spin while they wait and take the cores from whatever else runs, megin's own pool among
// them. The OpenMP runtime reads its policy when it is loaded, before main, so this starts the program again,
// with the same arguments and OMP_WAIT_POLICY=passive. Returns where the variable is set already, or that
// fails.
void restart_with_passive_waits();

}  // namespace megin::train
