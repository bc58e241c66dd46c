#include "train/library_threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

namespace megin::train {

void set_library_threads(int threads, net::Operations operations) {
  at::set_num_threads(threads);
  // Looked up by name: libtorch may be linked with another matrix library, which does not have it.
  using Setter = void (*)(int);
  if (void* const found = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))
    reinterpret_cast<Setter>(found)(operations == net::Operations::kPlain ? threads : 1);
}

}  // namespace megin::train
