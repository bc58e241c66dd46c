// The batches of a language model that remembers: its text as lanes, each read from its beginning to its end
// in segments, side by side (Dai et al. 2019).
#pragma once

#include <cstdint>

#include "data/batch_stream.h"
#include "data/running_text.h"

namespace megin::data {

struct LaneStreamOptions {
  int64_t block_tokens = 128;  // tokens of a segment
  int64_t max_tokens = 4096;   // of a batch: as many lanes side by side as fit, at least one
  int64_t lane_tokens = 0;     // of a lane; 0: as many lanes as stand side by side, of equal length
  int64_t tokens = 0;          // only so many from the beginning of the text; 0: all
  bool end_marks = true;       // behind each example; off: the examples are pieces of one sequence
};

// Lane l of the text (running_text.h) is the tokens l * lane_tokens and on; only the last may be shorter. In
// a batch row r is the next segment of the r-th of the lanes that run side by side; first_position says where
// in its lane it begins, and 0 begins the next lanes. A lane that has ended leaves its row out, which is then
// the last one. Every token is predicted exactly once in an epoch; the order is always that of the text.
//
// `sentence` of a row is the number of its lane. A pure function of the examples, the options and the
// position. Not for two threads at once. Keeps a reference to the source.
class LaneStream final : public BatchStream {
 public:
  // Throws Error when there are no tokens.
  LaneStream(const ExampleSource& examples, const LaneStreamOptions& options);

  TokenBatch next() override;
  StreamPosition position() const override { return position_; }
  void seek(StreamPosition position) override;
  int64_t batches() const override;

  int64_t tokens() const { return tokens_; }  // end marks included
  int64_t lanes() const { return (tokens_ + options_.lane_tokens - 1) / options_.lane_tokens; }

 private:
  int64_t size_of_lane(int64_t lane) const;
  int64_t segments_of(int64_t lane) const;

  RunningText text_;
  LaneStreamOptions options_;
  int64_t tokens_;
  int64_t rows_ = 1;  // lanes side by side
  StreamPosition position_;
};

}  // namespace megin::data
