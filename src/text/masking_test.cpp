#include "text/masking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "base/error.h"
#include "text/small_vocabulary.h"
#include "text/wordpiece.h"

namespace megin::text {
namespace {

struct Masked {
  std::vector<int32_t> tokens, targets;
  int64_t predicted = 0;
};

Masked masked(const Masking& masking, std::vector<int32_t> tokens, uint64_t epoch = 0, uint64_t row = 0) {
  Masked found{std::move(tokens), {}, 0};
  found.targets.resize(found.tokens.size(), -7);
  found.predicted = masking.mask(epoch, row, found.tokens, found.targets);
  return found;
}

// Begin mark, then ordinary symbols and an end mark after every nineteenth.
std::vector<int32_t> long_row(size_t length) {
  std::vector<int32_t> row = {kBeginId};
  while (row.size() < length) {
    row.push_back(row.size() % 20 == 0 ? kEndId : kSpecialIds + static_cast<int32_t>(row.size() * 37 % 250));
  }
  return row;
}

// Of n tokens drawn with probability p, counts within four standard deviations.
void expect_share(int64_t found, int64_t all, double share) {
  const double expected = static_cast<double>(all) * share;
  EXPECT_NEAR(static_cast<double>(found), expected, 4 * std::sqrt(expected * (1 - share))) << share;
}

TEST(Masking, DrawsItsSharesAndNoSpecialSymbols) {
  const SubwordModel model = small_vocabulary();
  const Masking masking({}, model, 3);
  const std::vector<int32_t> row = long_row(40'001);  // 2,000 of them end marks, one the begin mark
  const Masked found = masked(masking, row);
  int64_t predicted = 0, mask = 0, kept = 0, other = 0;
  std::map<int32_t, int64_t> random;
  for (size_t i = 0; i < row.size(); ++i) {
    if (found.targets[i] == kPadId) {
      EXPECT_EQ(found.tokens[i], row[i]);
      continue;
    }
    EXPECT_EQ(found.targets[i], row[i]);
    EXPECT_GE(row[i], kSpecialIds);
    ++predicted;
    if (found.tokens[i] == *model.mask_id()) {
      ++mask;
    } else if (found.tokens[i] == row[i]) {
      ++kept;
    } else {
      ++other;
      ++random[found.tokens[i]];
    }
  }
  EXPECT_EQ(found.predicted, predicted);
  expect_share(predicted, 38'000, 0.15);
  expect_share(mask, predicted, 0.8);
  // A random symbol is the token itself once in 258.
  expect_share(kept, predicted, 0.1 + 0.1 / 258);
  expect_share(other, predicted, 0.1 - 0.1 / 258);
  EXPECT_GE(random.begin()->first, kSpecialIds);
  EXPECT_LT(random.rbegin()->first, *model.mask_id());
  EXPECT_GT(random.size(), 200U);
}

TEST(Masking, DependsOnSeedEpochRowAndPlaceAlone) {
  const SubwordModel model = small_vocabulary();
  const std::vector<int32_t> row = long_row(400);
  const Masking masking({}, model, 3);
  const Masked one = masked(masking, row, 2, 5);
  const Masked again = masked(Masking({}, model, 3), row, 2, 5);
  EXPECT_EQ(one.tokens, again.tokens);
  EXPECT_EQ(one.targets, again.targets);
  EXPECT_NE(one.targets, masked(masking, row, 3, 5).targets) << "dynamic";
  EXPECT_NE(one.targets, masked(masking, row, 2, 6).targets);
  EXPECT_NE(one.targets, masked(Masking({}, model, 4), row, 2, 5).targets);
  // A place's draw does not depend on how long the row goes on.
  const Masked shorter = masked(masking, {row.begin(), row.begin() + 200}, 2, 5);
  EXPECT_TRUE(std::equal(shorter.targets.begin(), shorter.targets.end(), one.targets.begin()));
  EXPECT_TRUE(std::equal(shorter.tokens.begin(), shorter.tokens.end(), one.tokens.begin()));
}

TEST(Masking, AsksForSomethingWhereverThereIsSomething) {
  const SubwordModel model = small_vocabulary();
  const Masking masking({.rate = 1e-9}, model, 1);
  EXPECT_EQ(masked(masking, {kBeginId, 10, 11, kEndId, 12}).predicted, 1);
  const Masked nothing = masked(masking, {kBeginId, kEndId, kEndId, kUnknownId, *model.mask_id()});
  EXPECT_EQ(nothing.predicted, 0);
  EXPECT_EQ(nothing.targets, std::vector<int32_t>(5, kPadId));
}

TEST(Masking, KnowsWhereWordsBegin) {
  const SubwordModel model = small_vocabulary();
  const std::vector<bool> begins = word_begins(model);
  ASSERT_EQ(begins.size(), static_cast<size_t>(model.size()));
  EXPECT_TRUE(begins[kEndId]);
  EXPECT_TRUE(begins[static_cast<size_t>(*model.mask_id())]);
  EXPECT_TRUE(begins[static_cast<size_t>(*model.id(std::string(kWordBegin) + "a"))]);
  EXPECT_TRUE(begins[static_cast<size_t>(*model.id(kWordBegin))]);
  EXPECT_FALSE(begins[static_cast<size_t>(*model.id("bc"))]);
  EXPECT_FALSE(begins[static_cast<size_t>(*model.id("b"))]);
}

TEST(Masking, KnowsWhereWordsOfWordPiecesBegin) {
  const WordPieceTables tables{.pieces = {"sea", "##s", ",", "<mask>", "#"}};
  EXPECT_EQ(word_begins(SubwordModel::from_bytes(to_bytes(tables), "pieces")),
            (std::vector<bool>{true, true, true, true, true, false, true, true, true}));
}

TEST(Masking, MasksWordsWholeOrNotAtAll) {
  const SubwordModel model = small_vocabulary();
  const int32_t first = *model.id(std::string(kWordBegin) + "a"), part = *model.id("bc");
  // "bc" goes on with what stands before it, but not across a mark.
  const std::vector<int32_t> row = {kBeginId, part,   part, first, part, part,
                                    first,    kEndId, part, first, part};
  const std::vector<std::vector<size_t>> words = {{1, 2}, {3, 4, 5}, {6}, {8}, {9, 10}};
  const Masking masking({.rate = 0.4, .masked = 0.5, .random = 0.2, .whole_words = true}, model, 8);
  std::vector<int64_t> drawn(words.size());
  constexpr int64_t kRows = 4000;
  int64_t partly_masked = 0;
  for (int64_t r = 0; r < kRows; ++r) {
    const Masked found = masked(masking, row, 0, static_cast<uint64_t>(r));
    for (size_t w = 0; w < words.size(); ++w) {
      const bool is_drawn = found.targets[words[w][0]] != kPadId;
      drawn[w] += is_drawn;
      int64_t masks = 0;
      for (const size_t i : words[w]) {
        EXPECT_EQ(found.targets[i] != kPadId, is_drawn) << r << " " << i;
        masks += found.tokens[i] == *model.mask_id();
      }
      partly_masked += masks > 0 && masks < static_cast<int64_t>(words[w].size());
    }
    EXPECT_EQ(found.targets[0], kPadId);
    EXPECT_EQ(found.targets[7], kPadId);
  }
  EXPECT_GT(partly_masked, 0) << "what is seen is drawn for each token";
  // Rate 0.4, and one in five of the rows in which none of five came out: 0.4 + 0.6^5 / 5.
  for (const int64_t of_word : drawn) expect_share(of_word, kRows, 0.4 + 0.07776 / 5);
}

TEST(Masking, WantsAMaskSymbol) {
  EXPECT_THROW(Masking({}, small_vocabulary(false), 1), UsageError);
  EXPECT_FALSE(small_vocabulary(false).mask_id().has_value());
}

}  // namespace
}  // namespace megin::text
