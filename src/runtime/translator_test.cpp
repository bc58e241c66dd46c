#include "runtime/translator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "runtime/random_weights.h"

namespace megin::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> sentences() {
  std::vector<std::string> list;
  for (const char* who : {"The dog", "A cat", "My brother", "Twelve men"}) {
    for (const char* does : {"runs over", "jumps over", "sees", "paints", "opens"}) {
      for (const char* what : {"the street", "a river", "this house", "books"}) {
        list.push_back(std::string(who) + " " + does + " " + what + ".");
      }
    }
  }
  return list;
}

text::SubwordModel train_subword_model() {
  text::SubwordTraining training;
  training.config.vocabulary = 46;
  training.config.byte_fallback = false;
  training.tags = {"<2de>"};
  const std::vector<std::string> list = sentences();
  const auto next = [&list, at = size_t{0}](std::string& sentence) mutable {
    if (at == list.size()) return false;
    sentence = list[at++];
    return true;
  };
  return text::SubwordModel::from_bytes(text::train_subword(training, next), "test");
}

const text::SubwordModel& subword() {
  static const text::SubwordModel model = train_subword_model();
  return model;
}

const Transformer& model() {
  static const Transformer made = [] {
    config::ModelConfig config;
    config.width = 16;
    config.feed_forward = 24;
    config.heads = 2;
    config.encoder_layers = config.decoder_layers = 2;
    config.experts = {.count = 4, .every = 1, .offset = 0};
    config.max_length = 40;
    config.source_vocabulary = config.target_vocabulary = subword().size();
    return Transformer(std::make_shared<Weights>(config, random_weights(config, 3)), {});
  }();
  return made;
}

TranslatorOptions quick_options() {
  TranslatorOptions options;
  options.search.search.beam = 3;
  options.search.search.nbest = 2;
  options.search.search.max_length_extra = 15;
  return options;
}

std::vector<TranslationInput> inputs(const std::vector<std::string>& texts) {
  std::vector<TranslationInput> lines;
  for (const std::string& text : texts) lines.push_back({text, ""});
  return lines;
}

std::vector<TranslatedLine> translate(const TranslatorOptions& options,
                                      const std::vector<TranslationInput>& lines, int threads = 1,
                                      uint64_t first = 0) {
  ThreadPool pool(threads);
  TranslationTotals totals;
  return Translator(model(), subword(), subword(), options).translate_lines(lines, first, pool, totals);
}

// Everything that a user could see, to the last digit.
std::string transcript(const std::vector<TranslatedLine>& lines) {
  std::string all;
  for (const TranslatedLine& line : lines) {
    for (const Translation& t : line.translations) {
      all +=
          fmt::format("{}\t{:a}\t{:a}\t{}\t{}\n", line.number, t.score, t.log_probability, t.tokens, t.text);
    }
  }
  return all;
}

TEST(Translator, GivesTheSameBytesAtAnyBatchSizeThreadCountAndWindow) {
  std::vector<std::string> texts = sentences();
  texts.insert(texts.begin() + 7, "");
  const auto lines = inputs(texts);
  const std::string wanted = transcript(translate(quick_options(), lines));
  EXPECT_THAT(wanted, HasSubstr("\n79\t"));
  for (const int threads : {1, 3}) {
    for (const int64_t batch_tokens : {1, 50, 700, 100000}) {
      TranslatorOptions options = quick_options();
      options.search.batch_tokens = batch_tokens;
      EXPECT_EQ(transcript(translate(options, lines, threads)), wanted) << threads << " " << batch_tokens;
    }
  }
  std::vector<TranslatedLine> in_parts;
  for (size_t i = 0; i < lines.size(); i += 9) {
    const size_t end = std::min(i + 9, lines.size());
    for (auto& line :
         translate(quick_options(),
                   {lines.begin() + static_cast<ptrdiff_t>(i), lines.begin() + static_cast<ptrdiff_t>(end)},
                   1, i)) {
      in_parts.push_back(std::move(line));
    }
  }
  EXPECT_EQ(transcript(in_parts), wanted);
}

TEST(Translator, SamplesAreTheSameAtAnyBatchSizeAndThreadCount) {
  TranslatorOptions options = quick_options();
  options.search.sampling = search::SamplingOptions{.seed = 5, .temperature = 1.3, .samples = 2};
  const auto lines = inputs(sentences());
  const std::string wanted = transcript(translate(options, lines));
  options.search.batch_tokens = 60;
  EXPECT_EQ(transcript(translate(options, lines, 3)), wanted);
}

TEST(Translator, EveryLineGivesOneResultAndEmptyOnesGiveNone) {
  const auto result = translate(quick_options(), inputs({"", "The dog sees books.", "  \t ", "", "A cat."}));
  ASSERT_EQ(result.size(), 5U);
  std::vector<size_t> counts;
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(result[i].number, i);
    counts.push_back(result[i].translations.size());
  }
  EXPECT_THAT(counts, ElementsAre(0, 2, 0, 0, 2));
}

TEST(Translator, StreamsAWindowAsSoonAsInputWouldWait) {
  std::vector<std::string> events;
  size_t at = 0;
  const auto next = [&](TranslationInput& line, bool& more_at_once) {
    if (at == 3) return false;
    line.text = "A cat.";
    more_at_once = at == 0;  // the second line is not followed at once by a third
    events.push_back(fmt::format("read {}", at++));
    return true;
  };
  const auto sink = [&](const TranslatedLine& line) {
    events.push_back(fmt::format("wrote {}", line.number));
  };
  ThreadPool pool(1);
  const TranslatorOptions options = quick_options();
  const auto totals = Translator(model(), subword(), subword(), options)
                          .translate(
                              next, sink, [&] { events.push_back("flush"); }, pool);
  EXPECT_THAT(events,
              ElementsAre("read 0", "read 1", "wrote 0", "wrote 1", "flush", "read 2", "wrote 2", "flush"));
  EXPECT_EQ(totals.lines, 3U);
}

std::string long_line() {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "The dog sees books. ";
  return text;
}

TEST(Translator, ALineTooLongIsAnErrorThatNamesIt) {
  try {
    translate(quick_options(), inputs({"A cat.", long_line()}), 1, 10);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("line 12"));
    EXPECT_THAT(error.what(), HasSubstr("at most 40 tokens"));
  }
}

TEST(Translator, SkipsOrCutsLongLinesOnlyWithAWarning) {
  std::vector<std::string> warnings;
  TranslatorOptions options = quick_options();
  options.lines.warn = [&](const std::string& text) { warnings.push_back(text); };
  options.lines.on_too_long = OnTooLong::kSkip;
  EXPECT_TRUE(translate(options, inputs({long_line()}))[0].translations.empty());
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("line 1: ")));
  options.lines.on_too_long = OnTooLong::kTruncate;
  EXPECT_FALSE(translate(options, inputs({long_line()}))[0].translations.empty());
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("left empty"), HasSubstr("cut off")));
}

TEST(Translator, ReadsMalformedBytesWithAWarning) {
  std::vector<std::string> warnings;
  TranslatorOptions options = quick_options();
  options.lines.warn = [&](const std::string& text) { warnings.push_back(text); };
  EXPECT_EQ(translate(options, inputs({"A cat\xff."}))[0].translations.size(), 2U);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("line 1: not valid UTF-8")));
}

TEST(Translator, BeginsWithThePrefixOfTheLine) {
  std::vector<TranslationInput> lines = inputs({"The dog sees books.", "A cat opens books."});
  lines[1].prefix = "Twelve men";
  const auto result = translate(quick_options(), lines);
  for (const Translation& t : result[1].translations) EXPECT_TRUE(t.text.starts_with("Twelve men")) << t.text;
  lines[1].prefix = long_line();
  EXPECT_THROW(translate(quick_options(), lines), Error);
}

TEST(Translator, ATagOptionEqualsATagInTheLine) {
  TranslatorOptions options = quick_options();
  const std::string in_line = transcript(translate(options, inputs({"<2de> A cat opens books."})));
  options.lines.tag = "<2de>";
  EXPECT_EQ(transcript(translate(options, inputs({"A cat opens books."}))), in_line);
  EXPECT_TRUE(translate(options, inputs({""}))[0].translations.empty());
  options.lines.tag = "<2xx>";
  EXPECT_THROW(translate(options, inputs({"A cat."})), UsageError);
}

}  // namespace
}  // namespace megin::runtime
