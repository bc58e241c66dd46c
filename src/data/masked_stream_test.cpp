#include "data/masked_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "data/small_text.h"
#include "text/small_vocabulary.h"

namespace megin::data {
namespace {

constexpr int32_t kBegin = text::kBeginId;

// A rate of almost 1 and no replacement but the mask: all that may be asked for is.
text::Masking everything() {
  return {{.rate = 0.999999999, .masked = 1, .random = 0}, text::small_vocabulary(), 1};
}
text::Masking usual(uint64_t seed) {
  return {{}, text::small_vocabulary(), seed};
}

TEST(MaskedStream, RowsBeginWithTheirMarkAndNoMarkIsMasked) {
  const MemoryExamples text = small_text();
  const int32_t mask = *text::small_vocabulary().mask_id();
  MaskedStream stream(text, {.row_tokens = 5, .max_tokens = 100, .shuffle = false}, everything());
  EXPECT_EQ(stream.rows(), 3);
  EXPECT_EQ(stream.batches(), 1);
  const TokenBatch batch = stream.next();
  EXPECT_EQ(batch.source, (Tokens{kBegin, mask, mask, mask, kEnd,  //
                                  kBegin, mask, kEnd, kEnd, mask,  //
                                  kBegin, mask, kEnd, kPad, kPad}));
  EXPECT_EQ(batch.target_output, (Tokens{kPad, 10, 11, 12, kPad,    //
                                         kPad, 13, kPad, kPad, 14,  //
                                         kPad, 15, kPad, kPad, kPad}));
  EXPECT_EQ(batch.sentences, 3);
  EXPECT_EQ(batch.source_length, 5);
  EXPECT_EQ(batch.target_length, 5);
  EXPECT_EQ(batch.source_tokens, 13);
  EXPECT_EQ(batch.target_tokens, 6);
  EXPECT_TRUE(batch.target_input.empty());
  EXPECT_EQ(batch.sentence, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(stream.position(), (StreamPosition{1, 0}));
}

TEST(MaskedStream, ABatchHoldsTheRowsThatFitAndAtLeastOne) {
  const MemoryExamples text = small_text();
  const auto batches = [&](int64_t tokens) {
    return MaskedStream(text, {.row_tokens = 5, .max_tokens = tokens}, everything()).batches();
  };
  EXPECT_EQ(batches(10), 2) << "two rows of five";
  EXPECT_EQ(batches(14), 2);
  EXPECT_EQ(batches(15), 1);
  EXPECT_EQ(batches(1), 3);
  EXPECT_EQ(MaskedStream(text, {.row_tokens = 5, .rows = 2}, everything()).rows(), 2);
}

MemoryExamples long_text() {
  MemoryExamples text;
  for (int32_t line = 0; line < 80; ++line) {
    Tokens tokens;
    for (int32_t i = 0; i < 3 + line % 7; ++i) tokens.push_back(10 + line + i);
    text.add({}, tokens);
  }
  return text;
}

// What each row is seen as and asks for in an epoch, by its number.
using Rows = std::map<int64_t, std::pair<Tokens, Tokens>>;
Rows epoch_of(MaskedStream& stream) {
  Rows rows;
  for (int64_t i = stream.batches(); i > 0; --i) {
    const TokenBatch batch = stream.next();
    for (int64_t r = 0; r < batch.sentences; ++r) {
      const auto cut = [&](const Tokens& all) {
        Tokens row(all.begin() + r * batch.source_length, all.begin() + (r + 1) * batch.source_length);
        row.resize(8, kPad);  // a shorter last row alone in its batch
        return row;
      };
      rows[batch.sentence[static_cast<size_t>(r)]] = {cut(batch.source), cut(batch.target_output)};
    }
  }
  return rows;
}

TEST(MaskedStream, MasksAlikeWhateverTheBatchesAndAnewInEachEpoch) {
  const MemoryExamples text = long_text();
  MaskedStream one(text, {.row_tokens = 8, .max_tokens = 8, .seed = 3}, usual(3));
  MaskedStream other(text, {.row_tokens = 8, .max_tokens = 64, .seed = 9}, usual(3));
  const Rows first = epoch_of(one);
  EXPECT_EQ(first, epoch_of(other));
  const Rows second = epoch_of(one);
  EXPECT_NE(first, second);
  EXPECT_EQ(second, epoch_of(other));
  // Put back, every epoch shows the text.
  const auto restored = [](const Rows& rows) {
    std::vector<Tokens> found;
    for (const auto& [number, row] : rows) {
      found.push_back(row.first);
      for (size_t i = 0; i < row.second.size(); ++i) {
        if (row.second[i] != kPad) found.back()[i] = row.second[i];
      }
    }
    return found;
  };
  EXPECT_EQ(restored(first), restored(second));
}

TEST(MaskedStream, SeekingGivesTheBatchesThatFollow) {
  const MemoryExamples text = long_text();
  const MaskedStreamOptions options{.row_tokens = 8, .max_tokens = 24, .seed = 3};
  MaskedStream through(text, options, usual(3));
  std::vector<StreamPosition> positions;
  std::vector<TokenBatch> batches;
  for (int64_t i = 0; i < through.batches() + 5; ++i) {
    positions.push_back(through.position());
    batches.push_back(through.next());
  }
  MaskedStream jumping(text, options, usual(3));
  for (const size_t i : {batches.size() - 1, size_t{0}, batches.size() / 2}) {
    jumping.seek(positions[i]);
    EXPECT_EQ(jumping.next(), batches[i]) << i;
  }
  EXPECT_THROW(jumping.seek({0, jumping.batches()}), Error);
}

TEST(MaskedStream, RefusesRowsOfAMarkAlone) {
  const MemoryExamples text = small_text();
  EXPECT_THROW(MaskedStream(text, {.row_tokens = 1}, everything()), UsageError);
}

}  // namespace
}  // namespace megin::data
