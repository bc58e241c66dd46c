#include "train/blas_threads.h"

#include <dlfcn.h>

namespace megin::train {

void set_blas_threads(int threads) {
  // Looked up by name: libtorch may be linked with another matrix library, which does not have it.
  using Setter = void (*)(int);
  if (void* const found = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))
    reinterpret_cast<Setter>(found)(threads);
}

}  // namespace megin::train
