#include "exchange/folded_rows.h"

namespace megin::exchange {
namespace {

float added_to(const Fold& fold, size_t element) {
  return fold.added.empty() ? 0.0F : fold.added[element % static_cast<size_t>(fold.columns)];
}

}  // namespace

std::vector<float> fold_in(const Fold& fold, const std::vector<float>& theirs) {
  std::vector<float> ours(theirs.begin() + fold.skipped * fold.columns, theirs.end());
  for (size_t i = 0; i < ours.size(); ++i) ours[i] += added_to(fold, i);
  return ours;
}

std::vector<float> fold_out(const Fold& fold, const std::vector<float>& ours,
                            const std::vector<float>& before) {
  std::vector<float> theirs = before;
  const auto first = static_cast<size_t>(fold.skipped * fold.columns);
  for (size_t i = 0; i < ours.size(); ++i) {
    const float added = added_to(fold, i);
    if (theirs[first + i] + added != ours[i]) theirs[first + i] = ours[i] - added;
  }
  return theirs;
}

}  // namespace megin::exchange
