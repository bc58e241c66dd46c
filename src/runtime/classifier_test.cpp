#include "runtime/classifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/transformer_fixture.h"
#include "text/vocabulary.h"

namespace megin::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Symbols are the letters a to o, from id 4 on.
text::SubwordModel letters() {
  return text::SubwordModel::from_bytes(
      R"({"format":"megin-bytes","version":1,"newlines":"drop",)"
      R"("bytes":[97,98,99,100,101,102,103,104,105,106,107,108,109,110,111]})",
      "letters");
}

ModelConfig classifier_config() {
  ModelConfig config = small_config();
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  config.decoder_layers = 3;
  config.norm_position = config::NormPosition::kPre;
  config.positions = Positions::kLearned;
  config.classes = 3;
  return config;
}

// A Transformer-XL whose segments, in evaluation of a text, would be shorter than its sentences.
ModelConfig with_relative_positions() {
  ModelConfig config = classifier_config();
  config.norm_position = config::NormPosition::kPost;
  config.positions = Positions::kRelative;
  config.evaluation_block = 7;
  config.experts = {.count = 4,
                    .every = 1,
                    .router = config::RouterKind::kFixed,
                    .active = 4,
                    .gate = config::Gate::kSoftmaxOfChosen};
  return config;
}

std::vector<std::string> some_lines() {
  std::vector<std::string> lines;
  for (size_t i = 0; i < 23; ++i) {
    lines.emplace_back();
    for (size_t t = 0; t < i * 7 % 39; ++t) lines.back() += static_cast<char>('a' + (i * 11 + t * t) % 15);
  }
  return lines;  // the first one is empty
}

std::vector<ClassScores> classify(const ModelConfig& config, const Dispatch& dispatch,
                                  const std::vector<std::string>& lines, int64_t batch_tokens = 4096,
                                  int threads = 1, uint64_t first = 0) {
  const Transformer model(make_weights(config), dispatch);
  const text::SubwordModel subword = letters();
  ThreadPool pool(threads);
  return Classifier(model, subword, {.batch_tokens = batch_tokens}).classify(lines, first, pool);
}

void expect_equals_reference(const ModelConfig& config, const Dispatch& dispatch) {
  const auto lines = some_lines();
  const auto found = classify(config, dispatch, lines, 100, 1, 50);
  const ReferenceModel reference(config, make_weights(config)->tensors, dispatch);
  for (size_t i = 0; i < lines.size(); ++i) {
    Tokens tokens = letters().encode(lines[i]);
    tokens.insert(tokens.begin(), config::is_masked_lm(config) ? text::kBeginId : text::kEndId);
    tokens.push_back(text::kEndId);
    ASSERT_LE(tokens.size(), 40u);
    const std::vector<double> wanted = reference.class_log_probs(tokens, 50 + i);
    ASSERT_EQ(found[i].log_probabilities.size(), wanted.size());
    for (size_t c = 0; c < wanted.size(); ++c)
      ASSERT_NEAR(found[i].log_probabilities[c], wanted[c], 5e-5) << "line " << i << " class " << c;
  }
}

TEST(Classifier, GivesWhatPlainLoopsGive) {
  expect_equals_reference(classifier_config(), {});
  ModelConfig drawn = classifier_config();
  drawn.experts = {.count = 3, .every = 1};
  for (const auto mode : {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kEnsemble}) {
    expect_equals_reference(drawn, dispatch_by(mode, 4));
  }
}

TEST(Classifier, LooksAtTheFirstTokenOfAMaskedLanguageModel) {
  ModelConfig config = classifier_config();
  config.kind = config::ModelKind::kMaskedLm;
  std::swap(config.encoder_layers, config.decoder_layers);
  config.norm_embeddings = config.output_transform = true;
  expect_equals_reference(config, {});
  config.experts = {.count = 3, .every = 1};
  expect_equals_reference(config, dispatch_by(DispatchMode::kToken, 4));
}

TEST(Classifier, SeesAWholeSentenceWithAnyNumberOfExperts) {
  for (const char* mode : {"router", "k=1", "k=2", "k=4"}) {
    SCOPED_TRACE(mode);
    expect_equals_reference(with_relative_positions(), config::parse_dispatch(mode, 1));
  }
}

TEST(Classifier, GivesTheSameBitsInAnyBatchAndAnyCompany) {
  ModelConfig config = classifier_config();
  config.experts = {.count = 3, .every = 1};
  const auto lines = some_lines();
  const auto dispatch = dispatch_by(DispatchMode::kSentence, 7);
  const auto wanted = classify(config, dispatch, lines);
  for (const int64_t batch : {1, 60, 100000}) {
    for (const int threads : {1, 3}) {
      const auto found = classify(config, dispatch, lines, batch, threads);
      for (size_t i = 0; i < lines.size(); ++i)
        EXPECT_EQ(found[i].log_probabilities, wanted[i].log_probabilities) << i;
    }
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(classify(config, dispatch, {lines[i]}, 4096, 1, i)[0].log_probabilities,
              wanted[i].log_probabilities);
  }
}

TEST(Classifier, ReadsTheBeginningOfALineThatIsTooLong) {
  const Transformer model(make_weights(classifier_config()), {});
  const text::SubwordModel subword = letters();
  std::vector<std::string> told;
  const Classifier classifier(model, subword,
                              {.warn = [&](const std::string& text) { told.push_back(text); }});
  ThreadPool pool(1);
  const std::vector<std::string> lines = {std::string(38, 'c'), std::string(38, 'c') + "ab"};
  const auto scores = classifier.classify(lines, 10, pool);
  EXPECT_EQ(scores[0].log_probabilities, scores[1].log_probabilities);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], HasSubstr("line 12: 42 tokens with its marks, more than the 40"));
}

TEST(Classifier, TheLikeliestOfEqualsIsTheLower) {
  EXPECT_EQ(ClassScores({{-2.0F, -0.5F, -0.5F}}).likeliest(), 1);
}

TEST(Classifier, IsMadeOfAClassifier) {
  ModelConfig config = classifier_config();
  config.classes = 0;
  const Transformer model(make_weights(config), {});
  const text::SubwordModel subword = letters();
  EXPECT_THROW(Classifier(model, subword, {}), UsageError);
}

}  // namespace
}  // namespace megin::runtime
