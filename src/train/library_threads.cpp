#include "train/library_threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/files.h"

namespace megin::train {

void set_library_threads(int threads, net::Operations operations) {
  at::set_num_threads(threads);
  // Looked up by name: libtorch may be linked with another matrix library, which does not have it.
  using Setter = void (*)(int);
  if (void* const found = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))
    reinterpret_cast<Setter>(found)(operations.all_fused() ? 1 : threads);
}

void restart_with_passive_waits() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  std::string arguments = read_file("/proc/self/cmdline");
  std::vector<char*> pointers;
  for (size_t at = 0; at < arguments.size(); at += std::char_traits<char>::length(&arguments[at]) + 1)
    pointers.push_back(&arguments[at]);
  pointers.push_back(nullptr);
  execv("/proc/self/exe", pointers.data());
}

}  // namespace megin::train
