#include "runtime/text_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "runtime/random_weights.h"
#include "runtime/reference_model.h"
#include "text/vocabulary.h"

namespace megin::runtime {
namespace {

using testing::StartsWith;

const text::SubwordModel& subword() {
  static const text::SubwordModel model = [] {
    text::SubwordTraining training;
    training.config.vocabulary = 36;
    training.config.byte_fallback = false;
    int64_t line = 0;
    const auto next = [&line](std::string& sentence) {
      static const char* const kWho[] = {"The dog", "A cat", "My brother", "Twelve men"};
      static const char* const kWhat[] = {"sees the street.", "jumps over books.", "paints a river."};
      if (line == 120) return false;
      sentence = std::string(kWho[line % 4]) + " " + kWhat[line / 4 % 3];
      ++line;
      return true;
    };
    return text::SubwordModel::from_bytes(text::train_subword(training, next), "test");
  }();
  return model;
}

config::ModelConfig small_config() {
  config::ModelConfig config;
  config::apply_model_preset(config, "tiny_lm");
  config.width = 16;
  config.feed_forward = 24;
  config.heads = 2;
  config.decoder_layers = 2;
  config.max_length = 40;
  config.source_vocabulary = config.target_vocabulary = subword().size();
  config.experts.count = 3;
  return config;
}

const Transformer& model() {
  static const Transformer made(std::make_shared<Weights>(small_config(), random_weights(small_config(), 3)),
                                {});
  return made;
}

using Texts = std::vector<std::vector<GeneratedText>>;

Texts generate(GeneratorOptions options, const std::vector<std::string>& prompts, int threads = 1,
               uint64_t first = 0) {
  ThreadPool pool(threads);
  return TextGenerator(model(), subword(), std::move(options)).generate(prompts, first, pool);
}

GeneratorOptions sampled(int64_t samples = 2) {
  GeneratorOptions options{.search = {}, .max_tokens = 12, .many_lines = false};
  options.search.sampling = {.seed = 5, .samples = samples};
  return options;
}

std::vector<std::string> transcript(const Texts& texts) {
  std::vector<std::string> all;
  for (const auto& of_prompt : texts) {
    for (const GeneratedText& text : of_prompt) {
      all.push_back(fmt::format("{} {:a} {}", text.tokens, text.log_probability, text.text));
    }
  }
  return all;
}

TEST(TextGenerator, GoesOnWithThePrompt) {
  const Texts texts = generate(sampled(3), {"The dog sees", ""});
  ASSERT_EQ(texts.size(), 2U);
  for (const GeneratedText& text : texts[0]) {
    EXPECT_THAT(text.text, StartsWith("The dog sees"));
    EXPECT_LE(text.tokens, 12) << "the end of the line included";
    EXPECT_LT(text.log_probability, 0);
  }
  EXPECT_EQ(texts[0].size(), 3U);
  EXPECT_NE(texts[0][0].text, texts[0][1].text);
}

TEST(TextGenerator, GivesTheSameAtAnyThreadCountBatchSizeAndWindow) {
  std::vector<std::string> prompts;
  for (int i = 0; i < 12; ++i)
    prompts.push_back(i % 3 == 0 ? "" : i % 3 == 1 ? "A cat" : "My brother paints");
  const auto wanted = transcript(generate(sampled(), prompts));
  for (const int threads : {1, 3}) {
    for (const int64_t batch : {1, 30, 10000}) {
      GeneratorOptions options = sampled();
      options.search.batch_tokens = batch;
      EXPECT_EQ(transcript(generate(options, prompts, threads)), wanted);
    }
  }
  auto parts = transcript(generate(sampled(), {prompts.begin(), prompts.begin() + 5}));
  for (const auto& text : transcript(generate(sampled(), {prompts.begin() + 5, prompts.end()}, 1, 5))) {
    parts.push_back(text);
  }
  EXPECT_EQ(parts, wanted);
}

// The likeliest token after the prompt, by the model in plain loops.
TEST(TextGenerator, GreedyTakesTheLikeliestToken) {
  GeneratorOptions options{.search = {}, .max_tokens = 1, .many_lines = true};
  options.search.search.beam = 1;
  const std::string prompt = "Twelve men";
  search::Tokens fed = {text::kEndId};
  for (const int32_t token : subword().encode(prompt)) fed.push_back(token);
  const ReferenceModel reference(small_config(), random_weights(small_config(), 3), {});
  const std::vector<double> row = reference.log_probs({}, fed, 0).back();
  size_t likeliest = 0;
  for (size_t token = 0; token < row.size(); ++token) {
    if (token != text::kPadId && row[token] > row[likeliest]) likeliest = token;
  }
  const GeneratedText found = generate(options, {prompt})[0][0];
  search::Tokens wanted(fed.begin() + 1, fed.end());
  std::string text = subword().decode(wanted);
  if (likeliest == static_cast<size_t>(text::kEndId)) {
    text += "\n";
  } else if (likeliest != static_cast<size_t>(text::kBeginId)) {
    wanted.push_back(static_cast<int32_t>(likeliest));
    text = subword().decode(wanted);
  }
  EXPECT_EQ(found.text, text);
}

TEST(TextGenerator, GoesOnOverLineEndsWhenAsked) {
  GeneratorOptions options = sampled(20);
  options.many_lines = true;
  options.max_tokens = 30;
  bool goes_on = false;
  const Texts texts = generate(options, {"A cat\nThe dog"});
  for (const GeneratedText& text : texts[0]) {
    EXPECT_THAT(text.text, StartsWith("A cat\nThe dog"));
    goes_on = goes_on || text.text.find('\n', 6) != std::string::npos;
  }
  EXPECT_TRUE(goes_on);
  EXPECT_THROW(generate(sampled(), {"A cat\nThe dog"}), UsageError) << "several lines, but only one wanted";
}

TEST(TextGenerator, EndsWhereTheModelCanReadNoFurther) {
  GeneratorOptions options = sampled(5);
  options.many_lines = true;
  options.max_tokens = 1000;
  const Texts texts = generate(options, {""});
  for (const GeneratedText& text : texts[0]) EXPECT_LE(text.tokens, 39);
  std::string longest;
  for (int i = 0; i < 40; ++i) longest += "A cat sees. ";
  EXPECT_THROW(generate(sampled(), {longest}), Error);
  EXPECT_THROW(generate(sampled(), {"bad \xFF"}), Error);
}

// Weights are random, so every symbol is about as likely: a mark would come soon if one could.
TEST(TextGenerator, AModelOfBytesReadsAndWritesBytesAndNothingElse) {
  const auto bytes = text::SubwordModel::from_bytes(
      R"({"format":"megin-bytes","version":1,"newlines":"keep","bytes":[10,13,65,66,195,255]})", "bytes");
  config::ModelConfig config = small_config();
  config.source_vocabulary = config.target_vocabulary = bytes.size();
  const Transformer transformer(std::make_shared<Weights>(config, random_weights(config, 5)), {});
  ThreadPool pool(1);
  const std::string prompt = "A\r\n\xFF\xC3";
  for (const int64_t beam : {0, 3}) {
    GeneratorOptions options = sampled(8);
    options.max_tokens = 30;
    if (beam > 0) {
      options.search.sampling.reset();
      options.search.search.beam = options.search.search.nbest = beam;
    }
    const TextGenerator generator(transformer, bytes, options);
    const auto texts = generator.generate(std::vector<std::string>{prompt, ""}, 0, pool);
    for (const GeneratedText& text : texts[0]) {
      EXPECT_THAT(text.text, StartsWith(prompt));
      EXPECT_EQ(text.text.size(), prompt.size() + 30);
      EXPECT_EQ(text.tokens, 30);
      EXPECT_EQ(text.text.find_first_not_of("A\r\n\xFF\xC3"
                                            "B"),
                std::string::npos);
    }
    for (const GeneratedText& text : texts[1]) EXPECT_EQ(text.text.size(), 30U);
  }
}

}  // namespace
}  // namespace megin::runtime
