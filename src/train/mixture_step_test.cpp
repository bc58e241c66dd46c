// Conformance check 10 of thor.md, and the two steps of expectation-maximisation against each other and
// against enumeration.
#include "train/mixture_step.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

using config::Expectation;
using config::MixtureKind;
using config::MixturePrior;

config::ModelConfig mixture_model(config::MixtureConfig mixture) {
  config::ModelConfig config = small_model(1);
  config.mixture = mixture;
  return config;
}

std::vector<config::MixtureConfig> mixtures() {
  std::vector<config::MixtureConfig> all;
  for (const MixtureKind kind : {MixtureKind::kBegin, MixtureKind::kDecoder}) {
    for (const MixturePrior prior : {MixturePrior::kLearned, MixturePrior::kUniform}) {
      all.push_back({.components = 3, .kind = kind, .prior = prior});
    }
  }
  return all;
}

config::TrainConfig settings_of(Expectation expectation) {
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.objective.expectation = expectation;
  return config;
}

net::ForwardContext training() {
  return {.training = true};
}

// -sum over the positions of sentence `row` of the smoothed log-probabilities, by libtorch.
double cross_entropy(const model::Transformer& model, const data::TokenBatch& batch, int64_t component,
                     int64_t row, double eps) {
  const at::NoGradGuard no_gradients;
  const net::ForwardContext in_use;
  const std::vector<int64_t> components(static_cast<size_t>(batch.sentences), component);
  const at::Tensor states = model.decode(batch, model.encode(batch, in_use), components, in_use);
  const at::Tensor log_probabilities =
      at::log_softmax(at::matmul(states, model.output_weight().t()), -1).to(at::kDouble);
  const int64_t symbols = log_probabilities.size(1);
  const double each = eps / static_cast<double>(symbols - 1);
  double sum = 0;
  for (int64_t t = 0; t < batch.target_length; ++t) {
    const int64_t position = row * batch.target_length + t;
    const int32_t label = batch.target_output[static_cast<size_t>(position)];
    if (label == 1) continue;  // padding
    const at::Tensor of = log_probabilities[position];
    sum -= (1 - eps - each) * of[label].item<double>() + each * of.sum().item<double>();
  }
  return sum;
}

// Hard and soft, fused and plain.
std::vector<config::TrainConfig> forms() {
  std::vector<config::TrainConfig> all;
  for (const Expectation expectation : {Expectation::kHard, Expectation::kSoft}) {
    all.push_back(settings_of(expectation));
    all.push_back(all.back());
    all.back().plain_operations = {config::FusedPart::kAll};
  }
  return all;
}

TEST(MixtureStep, ResponsibilitiesAreThePosterior) {
  for (const config::MixtureConfig& mixture : mixtures()) {
    const Trainer trainer(mixture_model(mixture), settings_of(Expectation::kHard));
    const data::TokenBatch batch = batch_of({0, 1, 2});
    const at::Tensor found = responsibilities(trainer.model, batch, training(), 0.1);
    EXPECT_TRUE(at::allclose(found.sum(-1), at::ones({3}), 1e-5, 1e-6));
    const at::NoGradGuard no_gradients;
    const at::Tensor prior = trainer.model.log_prior(batch, trainer.model.encode(batch, {}), {});
    for (int64_t row = 0; row < 3; ++row) {
      std::array<double, 3> joint{};
      double total = 0;
      for (int64_t z = 0; z < 3; ++z) {
        joint[static_cast<size_t>(z)] =
            std::exp(prior[row][z].item<double>() - cross_entropy(trainer.model, batch, z, row, 0.1) + 20);
        total += joint[static_cast<size_t>(z)];
      }
      for (int64_t z = 0; z < 3; ++z) {
        EXPECT_NEAR(found[row][z].item<double>(), joint[static_cast<size_t>(z)] / total, 1e-4);
      }
    }
  }
}

// Dropout is off while responsibilities are computed, whatever the pass (Shen et al. 2019).
TEST(MixtureStep, ResponsibilitiesKnowNoDropout) {
  config::ModelConfig config = mixture_model({.components = 2});
  config.dropout = 0.4;
  const Trainer trainer(config, settings_of(Expectation::kHard));
  const data::TokenBatch batch = batch_of({0, 1});
  const at::Tensor one = responsibilities(trainer.model, batch, {.training = true, .update = 1}, 0.1);
  const at::Tensor two = responsibilities(trainer.model, batch, {.training = true, .update = 2}, 0.1);
  EXPECT_TRUE(at::equal(one, two));
}

TEST(MixtureStep, TheLikelihoodIsTheSumOverComponents) {
  for (const config::MixtureConfig& mixture : mixtures()) {
    const Trainer trainer(mixture_model(mixture), settings_of(Expectation::kHard));
    const data::TokenBatch batch = batch_of({0, 3});
    const at::NoGradGuard no_gradients;
    const at::Tensor prior = trainer.model.log_prior(batch, trainer.model.encode(batch, {}), {});
    double expected = 0;
    for (int64_t row = 0; row < 2; ++row) {
      double sum = 0;
      for (int64_t z = 0; z < 3; ++z) {
        sum += std::exp(prior[row][z].item<double>() - cross_entropy(trainer.model, batch, z, row, 0));
      }
      expected -= std::log(sum);
    }
    EXPECT_NEAR(mixture_nll(trainer.model, batch, {}), expected, 1e-3);
  }
}

// The gradient of -log p(y|x) is the responsibility-weighted sum of those of the components (Fisher's
// identity): with soft EM, no smoothing and no dropout, both must be the same.
TEST(MixtureStep, TheSoftGradientIsThatOfTheLikelihood) {
  for (const config::MixtureConfig& mixture : mixtures()) {
    config::TrainConfig config = settings_of(Expectation::kSoft);
    config.objective.label_smoothing = 0;
    config::ModelConfig smooth = mixture_model(mixture);  // no kinks for the differences to step over
    smooth.activation = config::Activation::kGelu;
    Trainer trainer(smooth, config);
    const data::TokenBatch batch = batch_of({0, 1, 2});
    mixture_loss(trainer.model, batch, training(), config.objective).loss.total.backward();
    const auto gradients = trainer.model.parameters().gradients();
    const auto values = trainer.model.parameters().values();
    // A few elements of every tensor, by central differences.
    for (const net::Parameter& parameter : trainer.model.parameters().all()) {
      for (const int64_t offset : {int64_t{0}, parameter.size / 2, parameter.size - 1}) {
        const auto at = static_cast<size_t>(parameter.offset + offset);
        const float kept = values[at];
        constexpr float kStep = 1e-2F;
        values[at] = kept + kStep;
        const double above = mixture_nll(trainer.model, batch, {});
        values[at] = kept - kStep;
        const double below = mixture_nll(trainer.model, batch, {});
        values[at] = kept;
        const double expected = (above - below) / (2 * kStep);
        EXPECT_NEAR(gradients[at], expected, 2e-2 * std::abs(expected) + 5e-3) << parameter.name;
      }
    }
  }
}

// Hard EM trains the likeliest alone: the others' own parameters get no gradient.
TEST(MixtureStep, AHardStepTrainsTheLikeliestComponent) {
  for (const MixtureKind kind : {MixtureKind::kBegin, MixtureKind::kDecoder}) {
    const config::TrainConfig config = settings_of(Expectation::kHard);
    Trainer trainer(mixture_model({.components = 3, .kind = kind}), config);
    const data::TokenBatch batch = batch_of({2});
    const at::Tensor shares = responsibilities(trainer.model, batch, training(), 0.1);
    const auto likeliest = shares.argmax(-1).item<int64_t>();
    const MixtureLoss found = mixture_loss(trainer.model, batch, training(), config.objective);
    EXPECT_EQ(found.statistics.load[static_cast<size_t>(likeliest)], 1);
    EXPECT_NEAR(found.statistics.confidences[static_cast<size_t>(likeliest)], shares.max().item<double>(),
                1e-6);
    found.loss.total.backward();
    net::ParameterMemory& parameters = trainer.model.parameters();
    const auto size_of_gradient = [&](const std::string& name, int64_t part, int64_t parts) {
      const net::Parameter& parameter = parameters.find(name);
      const auto own = static_cast<size_t>(parameter.size / parts);
      double sum = 0;
      for (size_t i = 0; i < own; ++i) {
        sum += std::abs(parameters.gradients()[static_cast<size_t>(parameter.offset) +
                                               static_cast<size_t>(part) * own + i]);
      }
      return sum;
    };
    for (int64_t z = 0; z < 3; ++z) {
      const double size =
          kind == MixtureKind::kBegin
              ? size_of_gradient("mixture.begin", z, 3)
              : size_of_gradient("decoder.layers." + std::to_string(2 * z) + ".feed_forward.fc1.weight", 0,
                                 1);
      EXPECT_EQ(size > 0, z == likeliest) << z;
    }
    // log p(z|x) is learned with it.
    EXPECT_GT(size_of_gradient("mixture.prior.output.weight", 0, 1), 0);
  }
}

TEST(MixtureStep, SentencesOfSeveralDecodersInOneBatchAreAsAlone) {
  const Trainer trainer(mixture_model({.components = 3, .kind = MixtureKind::kDecoder}),
                        settings_of(Expectation::kHard));
  const data::TokenBatch batch = batch_of({0, 1, 2, 3});
  const at::NoGradGuard no_gradients;
  const at::Tensor memory = trainer.model.encode(batch, {});
  const std::vector<int64_t> mixed = {2, 0, 2, 1};
  const at::Tensor together =
      trainer.model.decode(batch, memory, mixed, {}).view({4, batch.target_length, -1});
  for (int64_t row = 0; row < 4; ++row) {
    const std::vector<int64_t> all(4, mixed[static_cast<size_t>(row)]);
    const at::Tensor alone = trainer.model.decode(batch, memory, all, {}).view({4, batch.target_length, -1});
    EXPECT_TRUE(at::allclose(together[row], alone[row], 1e-5, 1e-6)) << row;
  }
}

// Check 10: of one component nothing is left but the vanilla model, whose begin mark has another name.
TEST(MixtureStep, WithEqualComponentsItIsTheDenseModel) {
  Trainer dense(small_model(1), settings_of(Expectation::kHard));
  const data::TokenBatch batch = batch_of({0, 1, 2, 3});
  UpdateReport report;
  dense.step.accumulate(batch, 0, 0, report);
  for (const config::TrainConfig& config : forms()) {
    Trainer mixture(mixture_model({.components = 2, .prior = MixturePrior::kUniform}), config);
    net::ParameterMemory& parameters = mixture.model.parameters();
    const auto begin = parameters.values_of(parameters.find("mixture.begin"));
    const auto embedding = parameters.values_of(parameters.find("embedding.weight"));
    for (size_t i = 0; i < begin.size(); ++i) begin[i] = embedding[2 * 16 + i % 16];  // of the mark </s>
    const MixtureLoss found = mixture_loss(
        mixture.model, batch, {.training = true, .operations = operations_of(config)}, config.objective);
    EXPECT_NEAR(found.loss.cross_entropy[0], report.cross_entropy[0], 1e-3);
    EXPECT_NEAR(found.loss.nll[0], report.nll[0], 1e-3);
    found.loss.total.backward();
    for (const net::Parameter& parameter : dense.model.parameters().all()) {
      if (parameter.name == "embedding.weight")
        continue;  // of the mark, whose vector the components have now
      const at::Tensor wanted = dense.model.parameters().get(parameter.name).grad();
      EXPECT_TRUE(at::allclose(parameters.get(parameter.name).grad(), wanted, 1e-3, 1e-4)) << parameter.name;
    }
  }
}

TEST(MixtureStep, AnUpdateTrainsAndCounts) {
  for (const config::MixtureConfig& mixture : mixtures()) {
    for (const Expectation expectation : {Expectation::kHard, Expectation::kSoft}) {
      Trainer trainer(mixture_model(mixture), settings_of(expectation));
      double first = 0, last = 0;
      for (int64_t update = 0; update < 30; ++update) {
        const UpdateReport report = trainer.run({batch_of({0, 1}), batch_of({2, 3})}, update);
        (update == 0 ? first : last) = report.cross_entropy[0] / static_cast<double>(report.target_tokens);
        ASSERT_EQ(report.routing.size(), 1U);
        EXPECT_TRUE(report.routing[0].mixture);
        EXPECT_EQ(report.routing[0].statistics.routed, 4);
        EXPECT_EQ(report.routing[0].statistics.load[0] + report.routing[0].statistics.load[1] +
                      report.routing[0].statistics.load[2],
                  4);
      }
      EXPECT_LT(last, 0.8 * first);
    }
  }
}

}  // namespace
}  // namespace megin::train
