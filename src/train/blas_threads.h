// The thread count of the matrix library beneath libtorch, which libtorch does not pass on.
#pragma once

namespace megin::train {

// Sets OpenBLAS's own threads, where that library is the one in use; elsewhere nothing happens.
void set_blas_threads(int threads);

}  // namespace megin::train
