// What the searches share inside: preparing a call, reading rows of log-probabilities, dropping rows. Not a
// public header.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "search/beam_search.h"
#include "search/search_options.h"

namespace megin::search {

// Throws UsageError unless there is no prefix or one for each source, of tokens that an output may begin with
// and shorter than the source's length limit.
void check_prefixes(const NextTokenModel& model, std::span<const Source> sources,
                    const SearchOptions& options, std::span<const Tokens> prefixes);

// The state of a model and the rows that go with it.
class RowDecoder {
 public:
  RowDecoder(const NextTokenModel& model, std::span<const Source> sources, int64_t rows_per_source);

  // Feeds a token to each row; log_probs(i) then belongs to row i.
  void step(std::span<const int32_t> tokens);
  std::span<float> log_probs(size_t row);

  // Row i becomes a copy of the old rows[i].
  void keep(std::span<const int64_t> rows);

 private:
  const NextTokenModel& model_;
  std::unique_ptr<DecodingState> state_;
  size_t rows_;
  std::vector<float> log_probs_;
};

// Makes impossible what no output may contain at `position`.
void forbid(std::span<float> log_probs, size_t position, const SearchOptions& options);

// Throws Error: the model gave no token a probability.
[[noreturn]] void fail_without_probabilities(uint64_t sentence, size_t position);

}  // namespace megin::search
