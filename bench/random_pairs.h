// Random sentences for benchmarks of training: speed does not depend on the words.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "data/pair_stream.h"

namespace megin::bench {

// Sentences of 4 to 28 tokens, targets within a few tokens of their sources: the lengths of image captions.
inline data::MemoryExamples random_pairs(int64_t count, int64_t vocabulary) {
  data::MemoryExamples examples;
  const uint64_t key = draw_key(1, Purpose::kSampling);
  uint64_t counter = 0;
  const auto sentence = [&](uint64_t length) {
    std::vector<int32_t> tokens;
    for (uint64_t i = 0; i < length; ++i) {
      tokens.push_back(
          static_cast<int32_t>(4 + draw_index(key, counter++, static_cast<uint64_t>(vocabulary) - 4)));
    }
    return tokens;
  };
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t length = 4 + draw_index(key, counter++, 24);
    auto source = sentence(length);
    examples.add(std::move(source), sentence(length + draw_index(key, counter++, 4)));
  }
  return examples;
}

}  // namespace megin::bench
