// Goes on with texts: prompts in, prompts with what follows out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/batched_search.h"
#include "runtime/transformer.h"
#include "text/subword.h"

namespace megin::runtime {

struct GeneratorOptions {
  BatchedSearch search;      // sampling where it is given, else beam search
  int64_t max_tokens = 100;  // of what follows a prompt; it also ends where the model can read no further
  bool many_lines = false;   // goes on behind the end of the line; a model of bytes always does
};

struct GeneratedText {
  std::string text;            // the prompt, as the subword model reads it, and what follows; of bytes any
  double log_probability = 0;  // natural logarithm, of what follows
  int64_t tokens = 0;          // of what follows, line ends included
};

// Const in use. The model and the subword model must outlive it.
class TextGenerator {
 public:
  // Throws UsageError when the options cannot be.
  TextGenerator(const Transformer& model, const text::SubwordModel& subword, GeneratorOptions options);

  // What follows each prompt, best first, or the samples in their order. A prompt may have several lines,
  // with many_lines, and may be empty: a text then begins behind the end of a line. A model of bytes takes
  // any prompt and nothing ends its texts but max_tokens and what it can read. Prompt i draws as number
  // first + i. The same bytes at any batch size and thread count. Throws Error naming the prompt (from 1)
  // that is not UTF-8, or that leaves the model no room.
  std::vector<std::vector<GeneratedText>> generate(std::span<const std::string> prompts, uint64_t first,
                                                   ThreadPool& pool) const;

 private:
  search::Tokens encode_lines(const std::string& prompt, uint64_t number) const;
  search::Tokens encode(const std::string& prompt, uint64_t number) const;
  GeneratedText decode(const search::Hypothesis& found, size_t prompt_tokens) const;

  const Transformer& model_;
  const text::SubwordModel& subword_;
  bool of_bytes_;
  GeneratorOptions options_;
};

}  // namespace megin::runtime
