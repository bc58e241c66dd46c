#include "search/top_candidates.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

namespace megin::search {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kLanes = 16;
constexpr float kImpossible = -std::numeric_limits<float>::infinity();

// Independent lanes, so that the compiler can use vector instructions without reordering anything.
float block_maximum(const float* values) {
  std::array<float, kLanes> lanes;
  lanes.fill(kImpossible);
  for (size_t i = 0; i < kBlock; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  return *std::ranges::max_element(lanes);
}

}  // namespace

// The k-th largest block maximum is a lower bound of the k-th largest value, so only blocks that reach it are
// looked into: k of them but for ties.
std::span<const Candidate> TopCandidates::find(std::span<const float> log_probs, size_t k) {
  const size_t blocks = log_probs.size() / kBlock;
  block_maxima_.resize(blocks);
  for (size_t block = 0; block < blocks; ++block) {
    block_maxima_[block] = block_maximum(log_probs.data() + block * kBlock);
  }
  float threshold = kImpossible;
  if (k > 0 && k <= blocks) {
    sorted_maxima_ = block_maxima_;
    const auto kth = sorted_maxima_.begin() + static_cast<ptrdiff_t>(k - 1);
    std::ranges::nth_element(sorted_maxima_, kth, std::greater<>());
    threshold = *kth;
  }

  found_.clear();
  const auto look_into = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float value = log_probs[i];
      if (value >= threshold && value > kImpossible) found_.push_back({value, static_cast<int32_t>(i)});
    }
  };
  for (size_t block = 0; block < blocks; ++block) {
    if (block_maxima_[block] >= threshold) look_into(block * kBlock, (block + 1) * kBlock);
  }
  look_into(blocks * kBlock, log_probs.size());

  const size_t count = std::min(k, found_.size());
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.log_prob != b.log_prob ? a.log_prob > b.log_prob : a.token < b.token;
  };
  std::ranges::partial_sort(found_, found_.begin() + static_cast<ptrdiff_t>(count), better);
  return std::span(found_).first(count);
}

}  // namespace megin::search
