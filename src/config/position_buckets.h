// Buckets of distances between a query and a key (model.positions bucketed; T5: Raffel et al. 2020, section
// 2.1). Half of the buckets of a side hold one distance each; the others hold ranges that grow by a factor up
// to model.position_distance, and the last one everything beyond.
#pragma once

#include <cstdint>
#include <vector>

#include "config/model_config.h"

namespace megin::config {

// The bucket, from 0 to position_buckets - 1, of a key that stands `offset` tokens behind its query;
// negative: before it. An encoder's second half of buckets is for keys behind; in a decoder, which does not
// see them, they are in bucket 0. In fp32, as T5's code computes it: where rounding decides, the same bucket.
int64_t position_bucket(const ModelConfig& config, Stack stack, int64_t offset);

// The buckets of the offsets first, first + 1 ... last.
std::vector<int64_t> position_buckets(const ModelConfig& config, Stack stack, int64_t first, int64_t last);

}  // namespace megin::config
