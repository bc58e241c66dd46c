// Which vector instructions this processor has. A loop that the compiler vectorises is compiled twice, and
// chosen here at run time (function multiversioning by hand: the compiler's own needs indirect functions,
// which the thread sanitizer does not survive). For sources of this folder only.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#define MEGIN_X86_TARGETS 1
#else
#define MEGIN_X86_TARGETS 0
#endif

namespace megin::optim {

#if MEGIN_X86_TARGETS
inline bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

}  // namespace megin::optim
