#include "runtime/classifier.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "matrix/highest.h"
#include "runtime/batched_search.h"
#include "runtime/masked_model.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace megin::runtime {
namespace {

// The head (smoe_dropout spec 4.10): states [rows, width] to log-probabilities [rows, classes].
std::vector<float> run_head(const Weights& weights, std::vector<float> states) {
  const int64_t width = weights.config.width, classes = weights.config.classes;
  const int64_t rows = static_cast<int64_t>(states.size()) / width;
  std::vector<float> hidden(states.size()), scores(static_cast<size_t>(rows * classes));
  weights.classifier.hidden(Rows{states.data(), rows, width}, Rows{hidden.data(), rows, width});
  for (float& value : hidden) value = std::tanh(value);
  const Rows found{scores.data(), rows, classes};
  weights.classifier.output(Rows{hidden.data(), rows, width}, found);
  log_softmax(classes, found);
  return scores;
}

}  // namespace

int64_t ClassScores::likeliest() const {
  int64_t found = 0;
  matrix::choose_highest(log_probabilities, {&found, 1});
  return found;
}

Classifier::Classifier(const Transformer& model, const text::SubwordModel& subword, ClassifierOptions options)
    : model_(model), subword_(subword), options_(std::move(options)) {
  if (!config::is_classifier(model.config())) {
    fail_usage("wanted a classifier, found a model that tells no classes");
  }
  if (options_.batch_tokens < 1) {
    fail_usage("batch tokens: wanted at least 1, found {}", options_.batch_tokens);
  }
}

std::vector<int32_t> Classifier::encode(const std::string& line, uint64_t number) const {
  const bool malformed = subword_.byte_vocabulary() == nullptr && !text::is_valid_utf8(line);
  if (malformed) {
    options_.warn(fmt::format("line {}: not valid UTF-8; malformed bytes are read as U+FFFD", number + 1));
  }
  std::vector<int32_t> tokens = subword_.encode(malformed ? text::to_utf8(line, "UTF-8") : line);
  const auto most = static_cast<size_t>(model_.config().max_length);
  if (tokens.size() + 2 > most) {
    options_.warn(fmt::format(
        "line {}: {} tokens with its marks, more than the {} the model can read; the rest is cut off",
        number + 1, tokens.size() + 2, most));
    tokens.resize(most - 2);
  }
  tokens.insert(tokens.begin(), config::is_masked_lm(model_.config()) ? text::kBeginId : text::kEndId);
  tokens.push_back(text::kEndId);
  return tokens;
}

std::vector<float> Classifier::first_states(std::span<const search::Source> sentences) const {
  const TokenStates states =
      MaskedModel(model_.weights(), model_.dispatch(), model_.measured()).states(sentences);
  std::vector<float> first;
  for (size_t s = 0; s < sentences.size(); ++s) {
    const std::span<const float> row = states.row(states.offsets[s]);
    first.insert(first.end(), row.begin(), row.end());
  }
  return first;
}

std::vector<float> Classifier::last_states(std::span<const search::Source> sentences) const {
  const auto width = static_cast<size_t>(model_.config().width);
  std::vector<float> last(sentences.size() * width), states(last.size());
  const auto state = model_.begin(sentences, 1);
  std::vector<int32_t> tokens;
  size_t rows = sentences.size();
  for (size_t position = 0; rows > 0; ++position) {
    tokens.clear();
    for (size_t r = 0; r < rows; ++r) tokens.push_back(sentences[r].tokens[position]);
    model_.read(*state, tokens, std::span(states).first(rows * width));
    size_t left = rows;  // the shortest stand at the end
    for (; left > 0 && sentences[left - 1].tokens.size() == position + 1; --left) {
      const auto row = static_cast<std::ptrdiff_t>((left - 1) * width);
      std::copy_n(states.begin() + row, width, last.begin() + row);
    }
    if (left > 0 && left < rows) {
      std::vector<int64_t> kept(left);
      std::iota(kept.begin(), kept.end(), 0);
      model_.reorder(*state, kept);
    }
    rows = left;
  }
  return last;
}

std::vector<ClassScores> Classifier::classify(std::span<const std::string> lines, uint64_t first,
                                              ThreadPool& pool) const {
  std::vector<search::Source> sentences;
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < lines.size(); ++i) {
    sentences.push_back({.tokens = encode(lines[i], first + i), .sentence = first + i});
    lengths.push_back(static_cast<int64_t>(sentences.back().tokens.size()));
  }
  const bool masked = config::is_masked_lm(model_.config());
  const auto weights = model_.weights();
  const auto classes = static_cast<size_t>(weights->config.classes);
  std::vector<ClassScores> results(lines.size());
  run_batches(lengths, options_.batch_tokens, pool, [&](const std::vector<size_t>& batch) {
    std::vector<search::Source> some;
    for (const size_t i : batch) some.push_back(std::move(sentences[i]));
    const std::vector<float> scores = run_head(*weights, masked ? first_states(some) : last_states(some));
    for (size_t r = 0; r < batch.size(); ++r) {
      const auto row = scores.begin() + static_cast<std::ptrdiff_t>(r * classes);
      results[batch[r]].log_probabilities.assign(row, row + static_cast<std::ptrdiff_t>(classes));
    }
  });
  return results;
}

}  // namespace megin::runtime
