#include "metric/shift_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>
#include <vector>

#include "base/random.h"

namespace megin::metric {
namespace {

using Words = std::vector<uint32_t>;

// The slow twin: Tercom's search with whole matrices, every candidate computed from its first row to its
// last.
class SlowSearch {
 public:
  explicit SlowSearch(Words reference) : reference_(std::move(reference)) {}

  size_t edits(Words words) {
    size_t shifts = 0;
    while (true) {
      const auto [gain, moved] = best_shift(words);
      if (candidates_ >= 1000 || gain <= 0) break;
      ++shifts;
      words = moved;
    }
    return shifts + distance(words);
  }

 private:
  static constexpr int kFar = 1'000'000;
  using Matrix = std::vector<std::vector<std::pair<int, char>>>;  // cost and operation

  Matrix matrix_of(const Words& words) const {
    const int rows = static_cast<int>(words.size()), columns = static_cast<int>(reference_.size());
    Matrix cells(rows + 1, std::vector<std::pair<int, char>>(columns + 1, {kFar, 'x'}));
    for (int j = 0; j <= columns; ++j) cells[0][j] = {j, 'i'};
    const double ratio = rows > 0 ? static_cast<double>(columns) / rows : 1;
    const int beam = 25 < ratio / 2 ? static_cast<int>(std::ceil(ratio / 2 + 25)) : 25;
    for (int i = 1; i <= rows; ++i) {
      const int diagonal = static_cast<int>(std::floor(i * ratio));
      const int last = i == rows ? columns : std::min(columns, diagonal + beam - 1);
      for (int j = std::max(0, diagonal - beam); j <= last; ++j) {
        const auto offer = [&](int cost, char operation) {
          if (cost < cells[i][j].first) cells[i][j] = {cost, operation};
        };
        if (j > 0) {
          const bool same = words[i - 1] == reference_[j - 1];
          offer(cells[i - 1][j - 1].first + !same, same ? ' ' : 's');
        }
        offer(cells[i - 1][j].first + 1, 'd');
        if (j > 0) offer(cells[i][j - 1].first + 1, 'i');
      }
    }
    return cells;
  }

  int distance(const Words& words) const { return matrix_of(words).back().back().first; }

  struct Alignment {
    std::map<int, int> opposite;
    std::vector<int> reference_wrong, words_wrong;
  };

  Alignment align(const Words& words) const {
    const Matrix cells = matrix_of(words);
    std::vector<char> operations;
    for (size_t i = words.size(), j = reference_.size(); i > 0 || j > 0;) {
      operations.push_back(cells[i][j].second);
      if (operations.back() != 'i') --i;
      if (operations.back() != 'd') --j;
    }
    Alignment alignment;
    int i = -1, j = -1;
    for (auto operation = operations.rbegin(); operation != operations.rend(); ++operation) {
      if (*operation != 'i') {
        ++i;
        alignment.words_wrong.push_back(*operation != ' ');
      }
      if (*operation != 'd') {
        alignment.opposite[++j] = i;
        alignment.reference_wrong.push_back(*operation != ' ');
      }
    }
    return alignment;
  }

  static Words moved(const Words& words, int start, int length, int target) {
    Words block(words.begin() + start, words.begin() + start + length);
    Words rest = words;
    rest.erase(rest.begin() + start, rest.begin() + start + length);
    // Behind the block its places have gone; within it the target is counted from its start.
    const int at = target > start + length ? target - length : target;
    rest.insert(rest.begin() + std::min(at, static_cast<int>(rest.size())), block.begin(), block.end());
    return rest;
  }

  std::pair<int, Words> best_shift(const Words& words) {
    const Alignment alignment = align(words);
    const int before = distance(words);
    std::tuple<int, int, int, int> best_rank;
    std::pair<int, Words> best{0, words};
    bool any = false;
    const int rows = static_cast<int>(words.size()), columns = static_cast<int>(reference_.size());
    for (int start = 0; start < rows; ++start) {
      for (int at = 0; at < columns; ++at) {
        if (std::abs(at - start) > 50) continue;
        for (int length = 1; length <= 10 && start + length <= rows && at + length <= columns &&
                             words[start + length - 1] == reference_[at + length - 1];
             ++length) {
          const auto wrong = [length](const std::vector<int>& flags, int first) {
            return std::accumulate(flags.begin() + first, flags.begin() + first + length, 0) > 0;
          };
          if (!wrong(alignment.words_wrong, start) || !wrong(alignment.reference_wrong, at)) continue;
          const int opposite = alignment.opposite.at(at);
          if (start <= opposite && opposite < start + length) continue;
          int previous = -1;
          for (int offset = -1; offset < length; ++offset) {
            int target = 0;
            if (at + offset >= 0) target = alignment.opposite.at(at + offset) + 1;
            if (target == previous) continue;
            previous = target;
            const Words candidate = moved(words, start, length, target);
            ++candidates_;
            const std::tuple rank(before - distance(candidate), length, -start, -target);
            if (any && rank <= best_rank) continue;
            any = true;
            best_rank = rank;
            best = {std::get<0>(rank), candidate};
          }
          if (candidates_ >= 1000) return best;
        }
      }
    }
    return best;
  }

  Words reference_;
  int candidates_ = 0;
};

Words random_words(uint64_t key, size_t length, uint64_t vocabulary) {
  Words words(length);
  for (size_t i = 0; i < length; ++i) words[i] = static_cast<uint32_t>(draw_index(key, i, vocabulary));
  return words;
}

TEST(ShiftSearch, OneBlockMovedIsOneEdit) {
  EXPECT_EQ(edits_with_shifts(Words{5, 6, 7, 1, 2, 3, 4}, Words{1, 2, 3, 4, 5, 6, 7}), 1u);
  EXPECT_EQ(edits_with_shifts(Words{1, 2, 3}, Words{1, 2, 3}), 0u);
  // A substitution and an insertion.
  EXPECT_EQ(edits_with_shifts(Words{1, 9, 3}, Words{1, 2, 3, 4}), 2u);
}

TEST(ShiftSearch, EmptySidesCostTheirOthersLength) {
  EXPECT_EQ(edits_with_shifts(Words{}, Words{1, 2}), 2u);
  EXPECT_EQ(edits_with_shifts(Words{1, 2, 3}, Words{}), 3u);
  EXPECT_EQ(edits_with_shifts(Words{}, Words{}), 0u);
}

// Small vocabularies make many candidates and ties; lengths beyond 25 and 50 make the beam and the distance
// limit matter; unequal lengths widen the beam.
TEST(ShiftSearch, EqualsTheSlowSearch) {
  constexpr std::array<std::array<size_t, 3>, 9> kShapes = {{{3, 4, 3},
                                                             {12, 12, 4},
                                                             {20, 25, 12},
                                                             {40, 40, 60},
                                                             {90, 90, 90},
                                                             {70, 20, 8},
                                                             {2, 130, 3},
                                                             {100, 3, 3},
                                                             {60, 60, 2}}};
  for (size_t shape = 0; shape < kShapes.size(); ++shape) {
    const auto [length, reference_length, vocabulary] = kShapes[shape];
    const uint64_t trials = length > 30 ? 6 : 60;
    for (uint64_t trial = 0; trial < trials; ++trial) {
      const uint64_t key = draw_key(3, Purpose::kSampling, {shape, trial});
      const Words reference = random_words(key, reference_length, vocabulary);
      Words words = random_words(key + 1, length, vocabulary);
      if (trial % 2 == 0 && length <= reference_length) {
        // The reference itself with its thirds changed round.
        words.assign(reference.begin(), reference.begin() + static_cast<std::ptrdiff_t>(length));
        std::rotate(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(length / 3), words.end());
      }
      EXPECT_EQ(edits_with_shifts(words, reference), SlowSearch(reference).edits(words))
          << "shape " << shape << " trial " << trial;
    }
  }
}

}  // namespace
}  // namespace megin::metric
