// The targets of a set of examples as one text: all tokens one after another, each example with an end mark
// behind it, or (of bytes) without.
#pragma once

#include <cstdint>
#include <vector>

#include "data/example_set.h"
#include "data/token_batch.h"

namespace megin::data {

// Memory: 8 bytes an example. Keeps a reference to the examples. Safe to share between threads.
class RunningText {
 public:
  // Throws Error when there are no tokens.
  RunningText(const ExampleSource& examples, bool end_marks);

  int64_t tokens() const { return starts_.back(); }  // end marks included

  // Copies tokens first, ..., first + count - 1.
  void copy(int64_t first, int64_t count, int32_t* to) const;

  // Fills a row of both target matrices with tokens first, ..., first + count - 1: the input is shifted by
  // one and begins with the token before `first`, or with the end mark where there is none.
  void fill_row(int64_t first, int64_t count, int64_t row, TokenBatch& batch) const;

 private:
  const ExampleSource& examples_;
  bool end_marks_;
  std::vector<int64_t> starts_;  // [examples + 1]: where each begins
};

}  // namespace megin::data
