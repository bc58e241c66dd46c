// The expected buckets are those of transformers 4.46.3:
// T5Attention._relative_position_bucket(torch.arange(first, last + 1), bidirectional, buckets, distance).
#include "config/position_buckets.h"

#include <gtest/gtest.h>

#include <utility>

namespace megin::config {
namespace {

using Runs = std::vector<std::pair<int64_t, int64_t>>;  // the first offset of each bucket, ascending

ModelConfig bucketed(int64_t buckets, int64_t distance) {
  ModelConfig config;
  config.positions = Positions::kBucketed;
  config.position_buckets = buckets;
  config.position_distance = distance;
  return config;
}

Runs runs(const ModelConfig& config, Stack stack, int64_t reach) {
  Runs found;
  const std::vector<int64_t> buckets = position_buckets(config, stack, -reach, reach);
  for (size_t i = 0; i < buckets.size(); ++i) {
    if (found.empty() || found.back().second != buckets[i]) {
      found.emplace_back(static_cast<int64_t>(i) - reach, buckets[i]);
    }
  }
  return found;
}

TEST(PositionBuckets, AreThoseOfT5InAnEncoder) {
  const Runs wanted = {{-168, 15}, {-90, 14}, {-63, 13}, {-45, 12}, {-31, 11}, {-22, 10}, {-15, 9}, {-11, 8},
                       {-7, 7},    {-6, 6},   {-5, 5},   {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},  {0, 0},
                       {1, 17},    {2, 18},   {3, 19},   {4, 20},   {5, 21},   {6, 22},   {7, 23},  {8, 24},
                       {12, 25},   {16, 26},  {23, 27},  {32, 28},  {46, 29},  {64, 30},  {91, 31}};
  EXPECT_EQ(runs(bucketed(32, 128), Stack::kEncoder, 168), wanted);
  const Runs few = {{-60, 5}, {-10, 4}, {-5, 3}, {-2, 2}, {-1, 1}, {0, 0},
                    {1, 7},   {2, 8},   {3, 9},  {6, 10}, {11, 11}};
  EXPECT_EQ(runs(bucketed(12, 20), Stack::kEncoder, 60), few);
}

TEST(PositionBuckets, AreThoseOfT5InADecoder) {
  const Runs wanted = {{-168, 31}, {-112, 30}, {-98, 29}, {-86, 28}, {-76, 27}, {-66, 26}, {-58, 25},
                       {-51, 24},  {-45, 23},  {-39, 22}, {-34, 21}, {-30, 20}, {-26, 19}, {-23, 18},
                       {-20, 17},  {-18, 16},  {-15, 15}, {-14, 14}, {-13, 13}, {-12, 12}, {-11, 11},
                       {-10, 10},  {-9, 9},    {-8, 8},   {-7, 7},   {-6, 6},   {-5, 5},   {-4, 4},
                       {-3, 3},    {-2, 2},    {-1, 1},   {0, 0}};
  EXPECT_EQ(runs(bucketed(32, 128), Stack::kDecoder, 168), wanted);
  const Runs few = {{-60, 11}, {-16, 10}, {-13, 9}, {-10, 8}, {-8, 7}, {-7, 6},
                    {-5, 5},   {-4, 4},   {-3, 3},  {-2, 2},  {-1, 1}, {0, 0}};
  EXPECT_EQ(runs(bucketed(12, 20), Stack::kDecoder, 60), few);
}

}  // namespace
}  // namespace megin::config
