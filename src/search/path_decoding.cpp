#include "search/path_decoding.h"

#include <cmath>

#include "search/decoding.h"

namespace megin::search {
namespace {

// Appends the next token of a path, forced or chosen. Returns whether the path goes on.
bool advance(Path& path, std::span<float> log_probs, const PathRules& rules) {
  Hypothesis& output = path.output;
  const size_t position = output.tokens.size();
  int32_t token = rules.options.end;
  if (position < path.forced.size()) {
    token = path.forced[position];
  } else if (position < path.limit) {
    forbid(log_probs, position, rules.options);
    token = rules.choose(path, log_probs);
    if (std::isinf(log_probs[static_cast<size_t>(token)]))
      fail_without_probabilities(path.sentence, position);
  }
  const float log_prob = log_probs[static_cast<size_t>(token)];
  if (std::isnan(log_prob)) fail_without_probabilities(path.sentence, position);
  output.tokens.push_back(token);
  output.token_log_probabilities.push_back(log_prob);
  output.log_probability += log_prob;
  if (path.ends_when_forced) return output.tokens.size() < path.forced.size();
  return position < path.forced.size() || token != rules.options.end;
}

}  // namespace

void decode_paths(const NextTokenModel& model, std::span<const Source> sources, std::vector<Path>& paths,
                  const PathRules& rules) {
  if (paths.empty()) return;
  RowDecoder decoder(model, sources, static_cast<int64_t>(paths.size() / sources.size()));
  std::vector<Path*> active;
  std::vector<int64_t> rows;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (paths[i].ends_when_forced && paths[i].forced.empty()) continue;
    active.push_back(&paths[i]);
    rows.push_back(static_cast<int64_t>(i));
  }
  decoder.keep(rows);

  std::vector<int32_t> inputs;
  while (!active.empty()) {
    inputs.clear();
    for (const Path* path : active) {
      inputs.push_back(path->output.tokens.empty() ? path->begin : path->output.tokens.back());
    }
    decoder.step(inputs);
    rows.clear();
    std::vector<Path*> going_on;
    for (size_t row = 0; row < active.size(); ++row) {
      if (!advance(*active[row], decoder.log_probs(row), rules)) continue;
      going_on.push_back(active[row]);
      rows.push_back(static_cast<int64_t>(row));
    }
    active = std::move(going_on);
    decoder.keep(rows);
  }
  for (Path& path : paths) {
    Hypothesis& output = path.output;
    output.score =
        length_penalised(output.log_probability, static_cast<int64_t>(output.tokens.size()), rules.options);
  }
}

std::vector<Path> make_paths(const NextTokenModel& model, std::span<const Source> sources,
                             const SearchOptions& options, int64_t per_source) {
  std::vector<Path> paths;
  for (size_t i = 0; i < sources.size(); ++i) {
    const int64_t limit = length_limit(model, static_cast<int64_t>(sources[i].tokens.size()), options);
    for (int64_t number = 0; number < per_source; ++number) {
      Path path;
      path.source = i;
      path.sentence = sources[i].sentence;
      path.begin = sources[i].begin >= 0 ? sources[i].begin : options.begin;
      path.number = number;
      path.limit = static_cast<size_t>(limit);
      paths.push_back(std::move(path));
    }
  }
  return paths;
}

}  // namespace megin::search
