// Which instruction sets the kernels are compiled for; to be included before any Highway header. Three on x86
// (baseline SSE2, AVX2, AVX-512) keep the build short: those between them would add minutes and no speed that
// matters. The scalable vectors of SVE and RVV cannot stand in arrays, which the kernels need.
#pragma once

#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
