// Whether two systems differ in how many of the same questions they answer.
#pragma once

#include <cstdint>

namespace megin::metric {

// McNemar's test (1947), exact and two-sided: how probable so uneven a division of the questions that only
// one of two systems got right is if each of them might as well have been the other's (a fair coin for each).
// `only_first` and `only_second` are their numbers; of none at all it is 1.
double exact_mcnemar(uint64_t only_first, uint64_t only_second);

}  // namespace megin::metric
