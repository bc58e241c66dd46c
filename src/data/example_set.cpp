#include "data/example_set.h"

#include <algorithm>

#include "base/error.h"

namespace megin::data {

std::filesystem::path shard_path(const std::filesystem::path& folder, const std::string& split,
                                 int64_t number) {
  return folder / fmt::format("{}-{:05}.shard", split, number);
}

ExampleSet::ExampleSet(const std::filesystem::path& folder, const std::string& split, int64_t shards) {
  for (int64_t number = 0; number < shards; ++number) {
    shards_.emplace_back(shard_path(folder, split, number));
    first_.push_back(size_);
    size_ += shards_.back().size();
  }
}

Example ExampleSet::example(int64_t index) const {
  const auto shard = std::upper_bound(first_.begin(), first_.end(), index) - first_.begin() - 1;
  return shards_[static_cast<size_t>(shard)].example(index - first_[static_cast<size_t>(shard)]);
}

void ExampleSet::verify() const {
  for (const Shard& shard : shards_) shard.verify();
}

void MemoryExamples::add(std::vector<int32_t> source, std::vector<int32_t> target, int32_t corpus) {
  pairs_.push_back({std::move(source), std::move(target), corpus});
}

Example MemoryExamples::example(int64_t index) const {
  const Pair& pair = pairs_[static_cast<size_t>(index)];
  return {pair.source, pair.target, pair.corpus};
}

}  // namespace megin::data
