// What search needs of a model: begin, step, reorder. Beam search, sampling, forced decoding and scoring are
// written once over it; runtime's CPU models implement it, tests implement it with ten lines of numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace megin::search {

// One sentence to be decoded, or one text to go on with.
struct Source {
  std::vector<int32_t> tokens;  // source ids, end mark included; of a language model the prompt, whose length
                                // counts for the length limit, while the prefix is what is fed
  uint64_t sentence = 0;        // its number in the input: random dispatch draws by it, so that neither batch
                                // size nor order changes an output
  int32_t begin = -1;  // fed first instead of SearchOptions::begin, where what is decoded goes on with
                       // a text (scoring and sampling); -1: that one
};

// The changing part of a decoding: caches and buffers, owned by the caller. One state is used by one thread
// at a time; different states of one model may be used from different threads.
class DecodingState {
 public:
  virtual ~DecodingState() = default;
};

// A model in use; const and safe to share between threads.
class NextTokenModel {
 public:
  virtual ~NextTokenModel() = default;

  virtual int64_t vocabulary() const = 0;
  virtual int64_t max_length() const = 0;  // longest target in tokens, end mark included

  // Reads the sources (runs the encoder) and returns a state of sources.size() * rows_per_source rows, row
  // s * rows_per_source + r belonging to source s.
  virtual std::unique_ptr<DecodingState> begin(std::span<const Source> sources,
                                               int64_t rows_per_source) const = 0;

  // Feeds one token to each row and writes the log-probabilities of the next one, natural logarithm, fp32,
  // normalised over the vocabulary. tokens: [rows]; log_probs: [rows, vocabulary], row-major, caller's.
  // The first token fed is the begin mark that the caller chooses (this project: the end mark, as fairseq).
  virtual void step(DecodingState& state, std::span<const int32_t> tokens,
                    std::span<float> log_probs) const = 0;

  // Makes row i of the state a copy of the old row rows[i]; rows.size() becomes the number of rows (finished
  // sentences drop out this way; it is never more than begin gave). Rows of a sentence keep their sentence
  // number.
  virtual void reorder(DecodingState& state, std::span<const int64_t> rows) const = 0;
};

}  // namespace megin::search
