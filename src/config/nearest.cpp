#include "config/nearest.h"

#include <algorithm>
#include <vector>

namespace megin::config {

// Optimal string alignment distance; rows of the table are the bytes of `a`.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::string nearest(std::string_view word, std::span<const std::string> choices) {
  std::string best;
  size_t best_distance = 0;
  for (const std::string& choice : choices) {
    const size_t distance = edit_distance(word, choice);
    const size_t allowed = choice.size() < 4 ? 1 : std::max<size_t>(2, choice.size() / 3);
    if (distance > allowed || (!best.empty() && distance >= best_distance)) continue;
    best = choice;
    best_distance = distance;
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> choices) {
  const std::string guess = nearest(word, choices);
  return guess.empty() ? "" : "; did you mean '" + guess + "'?";
}

}  // namespace megin::config
