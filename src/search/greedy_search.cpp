#include "search/beam_search.h"
#include "search/decoding.h"
#include "search/path_decoding.h"
#include "search/top_candidates.h"

namespace megin::search {

std::vector<Hypothesis> greedy_search(const NextTokenModel& model, std::span<const Source> sources,
                                      const SearchOptions& options, std::span<const Tokens> prefixes) {
  check(options, model);
  check_prefixes(model, sources, options, prefixes);
  std::vector<Path> paths = make_paths(model, sources, options, 1);
  for (size_t i = 0; i < prefixes.size(); ++i) paths[i].forced = prefixes[i];

  TopCandidates top;
  const auto choose = [&top](const Path& path, std::span<const float> log_probs) {
    const std::span<const Candidate> best = top.find(log_probs, 1);
    if (best.empty()) fail_without_probabilities(path.sentence, path.output.tokens.size());
    return best.front().token;
  };
  decode_paths(model, sources, paths, {.options = options, .choose = choose});

  std::vector<Hypothesis> results;
  results.reserve(paths.size());
  for (Path& path : paths) results.push_back(std::move(path.output));
  return results;
}

}  // namespace megin::search
