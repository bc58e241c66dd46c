#include "runtime/text_generator.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace megin::runtime {

TextGenerator::TextGenerator(const Transformer& model, const text::SubwordModel& subword,
                             GeneratorOptions options)
    : model_(model),
      subword_(subword),
      of_bytes_(subword.byte_vocabulary() != nullptr),
      options_(std::move(options)) {
  options_.many_lines = options_.many_lines || of_bytes_;
  if (options_.max_tokens < 1)
    fail_usage("tokens to generate: wanted 1 or more, found {}", options_.max_tokens);
  // A prompt of n tokens gets at most n + max_tokens.
  search::SearchOptions& search = options_.search.search;
  search.max_length_ratio = 1.0;
  search.max_length_extra = options_.max_tokens;
  // No text has the begin mark in it: where it ends a text, line ends do not.
  search.end = options_.many_lines ? text::kBeginId : text::kEndId;
  // Of bytes there are no marks at all.
  if (of_bytes_) search.first_choice = text::kSpecialIds;
  search::check(search, model_);
}

search::Tokens TextGenerator::encode_lines(const std::string& prompt, uint64_t number) const {
  if (!text::is_valid_utf8(prompt)) fail("prompt {}: wanted valid UTF-8", number + 1);
  search::Tokens tokens;
  std::string_view rest = prompt;
  while (true) {
    const size_t end = rest.find('\n');
    const auto line = subword_.encode(rest.substr(0, end));
    tokens.insert(tokens.end(), line.begin(), line.end());
    if (end == std::string_view::npos) break;
    tokens.push_back(text::kEndId);
    rest.remove_prefix(end + 1);
  }
  if (!options_.many_lines && std::ranges::count(tokens, text::kEndId) > 0) {
    fail_usage("prompt {}: has several lines, and the text is to end with the line; ask for many lines",
               number + 1);
  }
  return tokens;
}

search::Tokens TextGenerator::encode(const std::string& prompt, uint64_t number) const {
  search::Tokens tokens = of_bytes_ ? subword_.encode(prompt) : encode_lines(prompt, number);
  const auto most = static_cast<size_t>(model_.max_length() - 1);
  if (tokens.size() >= most) {
    fail("prompt {}: wanted fewer than {} tokens, as the model reads no more and is to go on, found {}",
         number + 1, most, tokens.size());
  }
  return tokens;
}

GeneratedText TextGenerator::decode(const search::Hypothesis& found, size_t prompt_tokens) const {
  GeneratedText result;
  const search::SearchOptions& options = options_.search.search;
  // Where it had to end, the end was not the model's.
  const auto limit =
      static_cast<size_t>(search::length_limit(model_, static_cast<int64_t>(prompt_tokens), options));
  search::Tokens line;
  for (size_t i = 0; i < found.tokens.size(); ++i) {
    const int32_t token = found.tokens[i];
    const bool ends = token == options.end && i + 1 == found.tokens.size();
    if (ends && (i >= limit || options_.many_lines)) break;
    if (i >= prompt_tokens) {
      result.log_probability += found.token_log_probabilities[i];
      ++result.tokens;
    }
    if (ends) break;
    if (token != text::kEndId) {
      line.push_back(token);
      continue;
    }
    result.text += subword_.decode(line) + "\n";
    line.clear();
  }
  result.text += subword_.decode(line);
  return result;
}

std::vector<std::vector<GeneratedText>> TextGenerator::generate(std::span<const std::string> prompts,
                                                                uint64_t first, ThreadPool& pool) const {
  std::vector<search::Source> sources;
  std::vector<search::Tokens> prefixes;
  for (size_t i = 0; i < prompts.size(); ++i) {
    prefixes.push_back(encode(prompts[i], first + i));
    sources.push_back({.tokens = prefixes.back(), .sentence = first + i});
  }
  const auto found = search_all(model_, sources, prefixes, options_.search, pool);
  std::vector<std::vector<GeneratedText>> texts(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    for (const search::Hypothesis& one : found[i]) texts[i].push_back(decode(one, prefixes[i].size()));
  }
  return texts;
}

}  // namespace megin::runtime
