// What conversions promise (store/expert_conversion.h), by the log-probabilities of the models before and
// after.
#include <gtest/gtest.h>

#include <map>

#include "runtime/random_weights.h"
#include "runtime/transformer.h"
#include "store/expert_conversion.h"

namespace megin::runtime {
namespace {

using store::ConvertedModel;
using store::ExpertSplit;

config::ModelConfig dense_model(config::Activation activation) {
  config::ModelConfig config;
  config.width = 16;
  config.feed_forward = 32;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 2;
  config.max_length = 20;
  config.source_vocabulary = config.target_vocabulary = 23;
  config.activation = activation;
  return config;
}

TensorSource source_of(const ConvertedModel& model) {
  auto tensors = std::make_shared<std::map<std::string, std::vector<float>>>();
  for (const store::FloatTensor& tensor : model.tensors) (*tensors)[tensor.name] = tensor.values;
  return [tensors](const std::string& name) { return std::span<const float>(tensors->at(name)); };
}

std::vector<float> log_probs(const config::ModelConfig& config, const TensorSource& tensors,
                             const std::string& experts, Measurements measured = {}) {
  const Transformer model(std::make_shared<Weights>(config, tensors), config::parse_dispatch(experts, 1),
                          measured);
  const std::vector<search::Source> sources = {{{5, 9, 11, 2}, 0}, {{7, 2}, 1}};
  const auto state = model.begin(sources, 1);
  std::vector<float> all, step(2 * 23);
  for (const int32_t token : {2, 6, 17, 8}) {
    model.step(*state, std::vector<int32_t>{token, token + 1}, step);
    all.insert(all.end(), step.begin(), step.end());
  }
  return all;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max<double>(largest, std::abs(a[i] - b[i]));
  return largest;
}

TEST(ConvertedModel, WithAllExpertsASplitModelIsTheDenseOneAndBack) {
  for (const auto activation : {config::Activation::kRelu, config::Activation::kSwiglu}) {
    const config::ModelConfig dense = dense_model(activation);
    const TensorSource tensors = random_weights(dense, 3);
    std::vector<store::UnitActivity> activity(4, store::UnitActivity(32));
    const auto wanted = log_probs(dense, tensors, "sentence", {.activity = &activity});
    for (const ExpertSplit split : {ExpertSplit::kContiguous, ExpertSplit::kRandom, ExpertSplit::kCluster,
                                    ExpertSplit::kCoactivation}) {
      const ConvertedModel experts =
          store::split_into_experts(dense, tensors, {.experts = 8, .split = split, .activity = activity});
      EXPECT_LT(largest_difference(log_probs(experts.model, source_of(experts), "router"), wanted), 1e-5);
      EXPECT_GT(largest_difference(log_probs(experts.model, source_of(experts), "k=2"), wanted), 1e-2)
          << "with fewer experts it is another function";
      const ConvertedModel back = store::take_all(experts.model, source_of(experts));
      EXPECT_EQ(back.model, dense);
      EXPECT_LT(largest_difference(log_probs(back.model, source_of(back), "sentence"), wanted), 1e-5);
    }
  }
}

TEST(ConvertedModel, AModelWithoutBiasesIsSplitAndPutTogether) {
  config::ModelConfig dense = dense_model(config::Activation::kGegluTanh);
  dense.norm = config::NormKind::kRmsNorm;
  dense.norm_position = config::NormPosition::kPre;
  dense.positions = config::Positions::kBucketed;
  dense.share_embeddings = config::ShareEmbeddings::kInputs;
  dense.scale_attention = dense.biases = false;
  const TensorSource tensors = random_weights(dense, 6);
  const auto wanted = log_probs(dense, tensors, "sentence");
  for (const ExpertSplit split : {ExpertSplit::kContiguous, ExpertSplit::kCluster, ExpertSplit::kCopy}) {
    const ConvertedModel experts = store::split_into_experts(dense, tensors, {.experts = 4, .split = split});
    EXPECT_LT(largest_difference(log_probs(experts.model, source_of(experts), "router"), wanted), 1e-5);
    if (split == ExpertSplit::kCopy) continue;
    const ConvertedModel back = store::take_all(experts.model, source_of(experts));
    EXPECT_EQ(back.model, dense);
    EXPECT_LT(largest_difference(log_probs(back.model, source_of(back), "sentence"), wanted), 1e-5);
  }
}

TEST(ConvertedModel, CopiesComputeTheSameWithAnyNumberOfExperts) {
  const config::ModelConfig dense = dense_model(config::Activation::kGelu);
  const TensorSource tensors = random_weights(dense, 4);
  const auto wanted = log_probs(dense, tensors, "sentence");
  const ConvertedModel copies = store::split_into_experts(
      dense, tensors, {.experts = 4, .split = ExpertSplit::kCopy, .every = 2, .offset = 1});
  for (const char* experts : {"k=1", "k=3", "k=4"}) {
    EXPECT_LT(largest_difference(log_probs(copies.model, source_of(copies), experts), wanted), 1e-5)
        << experts;
  }
}

// Replaced and inserted experts; of these, x + (E(x) - x) rounds where E(x) does not.
TEST(ConvertedModel, ATakenPathComputesWhatThePathDoes) {
  for (const auto body : {config::ExpertBody::kReplace, config::ExpertBody::kInsert}) {
    config::ModelConfig model = dense_model(config::Activation::kRelu);
    model.experts = {.count = 3, .body = body, .sublayers = 2};
    const TensorSource tensors = random_weights(model, 5);
    for (const std::string path : {"1", "2,0"}) {
      std::vector<int64_t> experts = path == "1" ? std::vector<int64_t>{1} : std::vector<int64_t>{2, 0};
      const ConvertedModel taken = store::take_path(model, tensors, experts);
      EXPECT_EQ(taken.model.experts.count, 1);
      EXPECT_LT(largest_difference(log_probs(taken.model, source_of(taken), "sentence"),
                                   log_probs(model, tensors, "path:" + path)),
                1e-5);
    }
  }
}

}  // namespace
}  // namespace megin::runtime
