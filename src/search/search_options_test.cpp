#include "search/search_options.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "search/toy_models.h"

namespace megin::search {
namespace {

TEST(LengthPenalty, FairseqDividesByAPowerOfTheLength) {
  SearchOptions options;
  EXPECT_DOUBLE_EQ(length_penalised(-6.0, 3, options), -2.0);
  options.alpha = 0.5;
  EXPECT_DOUBLE_EQ(length_penalised(-6.0, 4, options), -3.0);
  options.alpha = 0;
  EXPECT_DOUBLE_EQ(length_penalised(-6.0, 4, options), -6.0);
}

TEST(LengthPenalty, GnmtDividesByAPowerOfFivePlusTheLengthOverSix) {
  SearchOptions options;
  options.length_penalty = LengthPenalty::kGnmt;
  EXPECT_DOUBLE_EQ(length_penalised(-6.0, 1, options), -6.0);
  EXPECT_DOUBLE_EQ(length_penalised(-6.0, 7, options), -3.0);  // (5 + 7) / 6 = 2
  options.alpha = 2;
  EXPECT_DOUBLE_EQ(length_penalised(-6.0, 7, options), -1.5);
}

TEST(LengthPenalty, NoneLeavesTheSum) {
  SearchOptions options;
  options.length_penalty = LengthPenalty::kNone;
  EXPECT_DOUBLE_EQ(length_penalised(-6.0, 7, options), -6.0);
}

TEST(LengthLimit, IsLinearInTheSourceAndBoundedByTheModel) {
  const ToyModel model(6, 50, hashed_distribution(1, 6));
  SearchOptions options;
  options.max_length_ratio = 1.2;
  options.max_length_extra = 10;
  EXPECT_EQ(length_limit(model, 10, options), 22);
  EXPECT_EQ(length_limit(model, 4, options), 14);  // 14.8
  EXPECT_EQ(length_limit(model, 1000, options), 49) << "and the end mark is the 50th token";
  options.max_length_ratio = 0;
  options.max_length_extra = 0;
  EXPECT_EQ(length_limit(model, 10, options), 1);
}

TEST(SearchOptions, WhatCannotBeIsAUsageError) {
  const ToyModel model(6, 50, hashed_distribution(1, 6));
  EXPECT_NO_THROW(check({}, model));
  EXPECT_THROW(check({.beam = 0}, model), UsageError);
  EXPECT_THROW(check({.beam = 2, .nbest = 3}, model), UsageError);
  EXPECT_THROW(check({.nbest = 0}, model), UsageError);
  EXPECT_THROW(check({.alpha = -1}, model), UsageError);
  EXPECT_THROW(check({.max_length_ratio = std::nan("")}, model), UsageError);
  EXPECT_THROW(check({.max_length_extra = -1}, model), UsageError);
  EXPECT_THROW(check({.unknown = 6}, model), UsageError);
  EXPECT_THROW(check({}, ToyModel(6, 1, hashed_distribution(1, 6))), UsageError);
}

}  // namespace
}  // namespace megin::search
