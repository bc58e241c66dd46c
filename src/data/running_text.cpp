#include "data/running_text.h"

#include <algorithm>

#include "base/error.h"
#include "text/vocabulary.h"

namespace megin::data {

RunningText::RunningText(const ExampleSource& examples, bool end_marks)
    : examples_(examples), end_marks_(end_marks) {
  starts_.reserve(static_cast<size_t>(examples.size()) + 1);
  starts_.push_back(0);
  for (int64_t i = 0; i < examples.size(); ++i) {
    const auto tokens = static_cast<int64_t>(examples.example(i).target.size());
    starts_.push_back(starts_.back() + tokens + (end_marks ? 1 : 0));
  }
  if (tokens() == 0) fail("there is no text to cut into blocks: the set is empty");
}

void RunningText::fill_row(int64_t first, int64_t count, int64_t row, TokenBatch& batch) const {
  int32_t* const output = batch.target_output.data() + row * batch.target_length;
  int32_t* const input = batch.target_input.data() + row * batch.target_length;
  copy(first, count, output);
  *input = text::kEndId;
  if (first > 0) copy(first - 1, 1, input);
  std::copy_n(output, count - 1, input + 1);
}

void RunningText::copy(int64_t first, int64_t count, int32_t* to) const {
  auto example = std::upper_bound(starts_.begin(), starts_.end(), first) - starts_.begin() - 1;
  while (count > 0) {
    const auto target = examples_.example(example).target;
    const auto skipped = static_cast<size_t>(first - starts_[static_cast<size_t>(example)]);
    const auto left = target.subspan(skipped);
    const int64_t taken = std::min(count, static_cast<int64_t>(left.size()));
    to = std::copy_n(left.begin(), taken, to);
    first += taken;
    count -= taken;
    if (end_marks_ && count > 0) {
      *to++ = text::kEndId;
      ++first;
      --count;
    }
    ++example;
  }
}

}  // namespace megin::data
