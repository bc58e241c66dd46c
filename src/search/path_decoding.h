// Decoding one token after another without alternatives: what greedy search, sampling and forced decoding
// share. Not a public header.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "search/beam_search.h"
#include "search/search_options.h"

namespace megin::search {

// One output in the making.
struct Path {
  size_t source = 0;  // index of its source
  uint64_t sentence = 0;
  int32_t begin = 0;                // fed first
  int64_t number = 0;               // among the paths of its source
  std::span<const int32_t> forced;  // its first tokens
  bool ends_when_forced = false;    // with the last forced token; else with the end mark
  size_t limit = 0;                 // where the end mark is forced
  Hypothesis output;
};

// Picks the next token of a path from its log-probabilities [vocabulary], forbidden ones at -infinity; a
// token of -infinity or NaN means that there is none.
using ChooseToken = std::function<int32_t(const Path& path, std::span<const float> log_probs)>;

struct PathRules {
  const SearchOptions& options;
  ChooseToken choose;
};

// Runs the paths to their ends: paths[i] becomes row i of a state begun with paths.size() / sources.size()
// rows for each source. Fills their outputs, score included.
void decode_paths(const NextTokenModel& model, std::span<const Source> sources, std::vector<Path>& paths,
                  const PathRules& rules);

// The paths of each source, `per_source` of them, to be ended by the end mark.
std::vector<Path> make_paths(const NextTokenModel& model, std::span<const Source> sources,
                             const SearchOptions& options, int64_t per_source);

}  // namespace megin::search
