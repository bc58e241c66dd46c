#include "train/longest_pairs.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace megin::train {
namespace {

constexpr int64_t kEndMark = 1;

struct Lengths {
  int64_t source = 0;
  int64_t target = 0;

  int64_t longest() const { return std::max(source, target); }
};

Lengths lengths_of(const data::ExampleSet& set, int64_t index) {
  const data::Example example = set.example(index);
  return {.source = static_cast<int64_t>(example.source.size()) + kEndMark,
          .target = static_cast<int64_t>(example.target.size()) + kEndMark};
}

int64_t longest_side(const data::ExampleSet& set) {
  int64_t longest = 0;
  for (int64_t i = 0; i < set.size(); ++i) longest = std::max(longest, lengths_of(set, i).longest());
  return longest;
}

// The first pair that is too long; set.size() where none is.
int64_t first_longer(const data::ExampleSet& set, int64_t most) {
  for (int64_t i = 0; i < set.size(); ++i) {
    if (lengths_of(set, i).longest() > most) return i;
  }
  return set.size();
}

}  // namespace

void check_lengths(const data::PreparedData& data, const config::ModelConfig& model) {
  if (data.task != config::Task::kTranslation) return;
  const int64_t wanted = std::max(longest_side(data.train), longest_side(data.valid));
  if (wanted <= model.max_length) return;
  if (const int64_t at = first_longer(data.valid, model.max_length); at < data.valid.size()) {
    const Lengths found = lengths_of(data.valid, at);
    const std::string_view side = found.source > model.max_length ? "src" : "tgt";
    fail_usage(
        "{}:{}: wanted at most {} tokens with the end mark (model.max_length), found {}; give all pairs room "
        "with --set model.max_length={}, or take long ones out of the validation set and prepare the data "
        "again",
        (data.folder / "valid").concat(".").concat(side).string(), at + 1, model.max_length,
        side == "src" ? found.source : found.target, wanted);
  }
  const int64_t at = first_longer(data.train, model.max_length);
  fail_usage(
      "{}, training pair {}: wanted at most {} tokens with the end mark (model.max_length), found {}; give "
      "all pairs room with --set model.max_length={}, or prepare the data again with --set "
      "data.max_tokens={}",
      data.folder.string(), at + 1, model.max_length, lengths_of(data.train, at).longest(), wanted,
      model.max_length);
}

}  // namespace megin::train
