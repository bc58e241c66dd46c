#include "metric/shift_search.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <vector>

namespace megin::metric {
namespace {

using Words = std::vector<uint32_t>;

constexpr int kMaxBlock = 10;
constexpr int kMaxDistance = 50;
constexpr int kBeam = 25;
constexpr int kMaxCandidates = 1000;
constexpr int kInfinity = 1'000'000'000;

// The edit-distance matrix between a hypothesis (rows) and the reference (columns) inside a beam around the
// diagonal. Each row is stored with one infinite cell on its left and as many on its right as the next row
// reads.
class Matrix {
 public:
  Matrix(int hypothesis_length, std::span<const uint32_t> reference) : reference_(reference) {
    const int columns = static_cast<int>(reference.size()) + 1;
    bands_.push_back({0, columns});
    const double ratio =
        hypothesis_length > 0 ? static_cast<double>(reference.size()) / hypothesis_length : 1;
    // A very long reference would leave rows without a common column.
    const int beam = kBeam < ratio / 2 ? static_cast<int>(std::ceil(ratio / 2 + kBeam)) : kBeam;
    for (int i = 1; i <= hypothesis_length; ++i) {
      const int diagonal = static_cast<int>(std::floor(i * ratio));
      const int last = i == hypothesis_length ? columns : std::min(columns, diagonal + beam);
      bands_.push_back({std::max(0, diagonal - beam), last});
    }
    size_t size = 0;
    for (int i = 0; i <= hypothesis_length; ++i) {
      const int right = std::max(bands_[i].last, i < hypothesis_length ? bands_[i + 1].last : 0);
      starts_.push_back(static_cast<std::ptrdiff_t>(size) + 1 - bands_[i].first);
      size += static_cast<size_t>(right - bands_[i].first) + 1;
    }
    cells_.assign(size, kInfinity);
    for (int j = 0; j < columns; ++j) row(0)[j] = j;
  }

  // Cell j of row i stands at row(i)[j], for j from one left of the row's band.
  const int* row(int i) const { return cells_.data() + starts_[i]; }
  int* row(int i) { return cells_.data() + starts_[i]; }

  // Row i, for `word` as the i-th word of the hypothesis, out of the row `above`. Returns its smallest cell.
  int fill_row(int i, uint32_t word, const int* above) {
    int* cells = row(i);
    const auto [first, last] = bands_[i];
    int smallest = kInfinity;
    int left = kInfinity;
    for (int j = first; j < last; ++j) {
      int cost = above[j] + 1;
      if (j > 0) cost = std::min({cost, above[j - 1] + (reference_[j - 1] != word ? 1 : 0), left + 1});
      // Infinity must not grow, or it would no longer compare as equal.
      left = std::min(cost, kInfinity);
      cells[j] = left;
      smallest = std::min(smallest, left);
    }
    return smallest;
  }

  bool equal_rows(int i, const Matrix& other) const {
    const auto [first, last] = bands_[i];
    return std::equal(row(i) + first, row(i) + last, other.row(i) + first);
  }

  int distance() const { return row(static_cast<int>(bands_.size()) - 1)[reference_.size()]; }

 private:
  struct Band {
    int first, last;  // columns [first, last)
  };

  std::span<const uint32_t> reference_;
  std::vector<Band> bands_;
  std::vector<std::ptrdiff_t> starts_;  // where column 0 of a row would be in cells_
  std::vector<int> cells_;
};

// Which words stand opposite each other in the cheapest edit sequence.
struct Alignment {
  std::vector<int>
      hypothesis_of;  // for a reference position: the last hypothesis position so far, -1 for none
  std::vector<char> reference_wrong, hypothesis_wrong;  // not matched by an equal word
};

struct Block {
  int start = 0, reference_start = 0, length = 0;
};

struct Shift {
  int gain = 0;
  int length = 0, start = 0, target = 0;
  Words words;

  // Tercom's ranking: the larger gain, the longer block, the earlier block, the earlier target.
  auto rank() const { return std::make_tuple(gain, length, -start, -target); }
};

// `words` with the block moved so that it begins at `target` (counted before the move).
Words moved(const Words& words, const Block& block, int target) {
  Words result = words;
  const auto begin = result.begin();
  const int size = static_cast<int>(words.size());
  const int end = block.start + block.length;
  if (target < block.start) {
    std::rotate(begin + target, begin + block.start, begin + end);
  } else if (target > end) {
    std::rotate(begin + block.start, begin + end, begin + target);
  } else {
    std::rotate(begin + block.start, begin + end, begin + std::min(size, target + block.length));
  }
  return result;
}

class ShiftSearch {
 public:
  ShiftSearch(std::span<const uint32_t> hypothesis, std::span<const uint32_t> reference)
      : words_(hypothesis.begin(), hypothesis.end()),
        reference_(reference),
        matrix_(static_cast<int>(hypothesis.size()), reference),
        trial_(matrix_) {
    fill_matrix();
  }

  size_t edits() {
    size_t shifts = 0;
    while (true) {
      std::optional<Shift> shift = best_shift();
      // sacreBLEU drops the shift that was found when the candidates ran out.
      if (candidates_ >= kMaxCandidates || !shift) break;
      ++shifts;
      words_ = std::move(shift->words);
      fill_matrix();
    }
    return shifts + static_cast<size_t>(matrix_.distance());
  }

 private:
  int length() const { return static_cast<int>(words_.size()); }
  int reference_length() const { return static_cast<int>(reference_.size()); }

  void fill_matrix() {
    for (int i = 1; i <= length(); ++i) matrix_.fill_row(i, words_[i - 1], matrix_.row(i - 1));
  }

  Alignment align() const;
  std::optional<Shift> best_shift();
  void try_targets(const Block& block, const Alignment& alignment, std::optional<Shift>& best);
  std::optional<int> distance_within(const Words& words, int limit);

  Words words_;
  std::span<const uint32_t> reference_;
  Matrix matrix_;  // of words_
  Matrix trial_;   // of a candidate, from the first row that differs
  int candidates_ = 0;
};

// Walks back from the last cell. Of equally cheap ways: no change or substitution, then leaving out a
// hypothesis word, then putting in a reference word.
Alignment ShiftSearch::align() const {
  Alignment alignment{std::vector<int>(reference_.size()), std::vector<char>(reference_.size(), 1),
                      std::vector<char>(words_.size(), 1)};
  int i = length();
  int j = reference_length();
  while (i > 0 || j > 0) {
    if (i == 0) {
      alignment.hypothesis_of[--j] = -1;
      continue;
    }
    const int cost = matrix_.row(i)[j];
    const bool same = j > 0 && words_[i - 1] == reference_[j - 1];
    if (j > 0 && matrix_.row(i - 1)[j - 1] + (same ? 0 : 1) == cost) {
      --i;
      --j;
      alignment.hypothesis_of[j] = i;
      alignment.hypothesis_wrong[i] = alignment.reference_wrong[j] = !same;
    } else if (matrix_.row(i - 1)[j] + 1 == cost) {
      --i;
    } else {
      alignment.hypothesis_of[--j] = i - 1;
    }
  }
  return alignment;
}

bool any(const std::vector<char>& flags, int start, int length) {
  return std::any_of(flags.begin() + start, flags.begin() + start + length,
                     [](char flag) { return flag != 0; });
}

// The shift that lowers the edit distance most; nothing if none lowers it.
std::optional<Shift> ShiftSearch::best_shift() {
  const Alignment alignment = align();
  std::optional<Shift> best;
  for (int start = 0; start < length(); ++start) {
    const int last = std::min(reference_length() - 1, start + kMaxDistance);
    for (int at = std::max(0, start - kMaxDistance); at <= last; ++at) {
      const int most = std::min({kMaxBlock, length() - start, reference_length() - at});
      for (int size = 1; size <= most && words_[start + size - 1] == reference_[at + size - 1]; ++size) {
        // Only a block that is misplaced, to a place that is wrong, and not within itself.
        if (!any(alignment.hypothesis_wrong, start, size) || !any(alignment.reference_wrong, at, size))
          continue;
        const int opposite = alignment.hypothesis_of[at];
        if (start <= opposite && opposite < start + size) continue;
        try_targets({start, at, size}, alignment, best);
        // The limit ends the search for good: edits() looks at it next.
        if (candidates_ >= kMaxCandidates) return best;
      }
    }
  }
  return best;
}

// Tries the block before the first and behind each of the hypothesis words that its reference words stand
// opposite.
void ShiftSearch::try_targets(const Block& block, const Alignment& alignment, std::optional<Shift>& best) {
  const int before = matrix_.distance();
  int previous = -1;
  for (int offset = -1; offset < block.length; ++offset) {
    const int at = block.reference_start + offset;
    if (at >= reference_length()) break;
    const int target = at < 0 ? 0 : alignment.hypothesis_of[at] + 1;
    if (target == previous) continue;
    previous = target;
    ++candidates_;
    Shift shift{0, block.length, block.start, target, moved(words_, block, target)};
    const std::optional<int> distance = distance_within(shift.words, before - (best ? best->gain : 1));
    if (!distance) continue;
    shift.gain = before - *distance;
    if (!best || shift.rank() > best->rank()) best = std::move(shift);
  }
}

// The edit distance of `words`, a rearrangement of words_, or nothing if it is above `limit`, which is below
// the distance of words_. Rows in front of the first difference are those of matrix_; and where a row behind
// the last difference equals matrix_'s, the rest is too.
std::optional<int> ShiftSearch::distance_within(const Words& words, int limit) {
  int same = 0;
  while (same < length() && words[same] == words_[same]) ++same;
  if (same == length()) return std::nullopt;
  int end = length();
  while (end > same && words[end - 1] == words_[end - 1]) --end;

  const int* above = matrix_.row(same);
  for (int i = same + 1; i <= length(); ++i) {
    // Costs do not fall from row to row.
    if (trial_.fill_row(i, words[i - 1], above) > limit) return std::nullopt;
    if (i >= end && trial_.equal_rows(i, matrix_)) return std::nullopt;
    above = trial_.row(i);
  }
  if (trial_.distance() > limit) return std::nullopt;
  return trial_.distance();
}

}  // namespace

size_t edits_with_shifts(std::span<const uint32_t> hypothesis, std::span<const uint32_t> reference) {
  if (reference.empty()) return hypothesis.size();
  return ShiftSearch(hypothesis, reference).edits();
}

}  // namespace megin::metric
