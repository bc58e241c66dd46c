#include "search/forced_decoding.h"

#include "base/error.h"
#include "search/path_decoding.h"

namespace megin::search {
namespace {

void check_target(const NextTokenModel& model, const Source& source, const Tokens& target) {
  if (static_cast<int64_t>(target.size()) > model.max_length()) {
    fail_usage("the target of sentence {} has {} tokens, more than the {} that the model can read",
               source.sentence, target.size(), model.max_length());
  }
  for (const int32_t token : target) {
    if (token < 0 || token >= model.vocabulary()) {
      fail_usage("the target of sentence {} holds the token {}, outside the vocabulary of {}",
                 source.sentence, token, model.vocabulary());
    }
  }
}

}  // namespace

std::vector<Hypothesis> score_targets(const NextTokenModel& model, std::span<const Source> sources,
                                      std::span<const Tokens> targets, const SearchOptions& options) {
  check(options, model);
  if (targets.size() != sources.size()) {
    fail_usage("wanted a target for each of {} sources, found {}", sources.size(), targets.size());
  }
  std::vector<Path> paths = make_paths(model, sources, options, 1);
  for (size_t i = 0; i < paths.size(); ++i) {
    check_target(model, sources[i], targets[i]);
    paths[i].forced = targets[i];
    paths[i].ends_when_forced = true;
  }
  decode_paths(model, sources, paths, {.options = options, .choose = {}});

  std::vector<Hypothesis> results;
  results.reserve(paths.size());
  for (Path& path : paths) results.push_back(std::move(path.output));
  return results;
}

}  // namespace megin::search
