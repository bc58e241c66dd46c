// Sentences in, the probabilities of their classes out.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "runtime/transformer.h"
#include "text/subword.h"

namespace megin::runtime {

struct ClassifierOptions {
  int64_t batch_tokens = 4096;  // of the sentences read side by side; sets memory and speed, never results
  std::function<void(const std::string&)> warn = [](const std::string&) {};
};

struct ClassScores {
  std::vector<float> log_probabilities;  // natural logarithm, of each class

  int64_t likeliest() const;  // of classes that are as likely the lower
};

// Const in use. The model and the subword model must outlive it.
class Classifier {
 public:
  // Throws UsageError when the model is no classifier or the options cannot be.
  Classifier(const Transformer& model, const text::SubwordModel& subword, ClassifierOptions options);

  // The classes of lines first, first + 1 ... of an input, each read by itself: an end mark (for a masked_lm
  // a begin mark), its tokens (none of an empty line), an end mark. Of a line with more than the model can
  // read the first tokens count, and malformed UTF-8 is read as U+FFFD (but of a model of bytes); both are
  // told through `warn`. The same bits at any batch size, thread count and neighbours.
  std::vector<ClassScores> classify(std::span<const std::string> lines, uint64_t first,
                                    ThreadPool& pool) const;

 private:
  std::vector<int32_t> encode(const std::string& line, uint64_t number) const;
  // The states of the first tokens of a masked_lm's sentences, [sentences, width]; of others, which must be
  // of falling length, those of the last tokens.
  std::vector<float> first_states(std::span<const search::Source> sentences) const;
  std::vector<float> last_states(std::span<const search::Source> sentences) const;

  const Transformer& model_;
  const text::SubwordModel& subword_;
  ClassifierOptions options_;
};

}  // namespace megin::runtime
