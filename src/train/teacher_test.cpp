#include "train/teacher.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "model/class_head.h"
#include "store/model_directory.h"
#include "text/vocabulary.h"
#include "train/run_directory.h"
#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

class TeacherTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    text::SubwordTraining training;
    training.config.vocabulary = 12;
    training.config.byte_fallback = false;
    int line = 0;
    const std::string subword = text::train_subword(training, [&line](std::string& sentence) {
      sentence = line % 2 == 0 ? "ab ba abba" : "cd dc cddc";
      return ++line < 40;
    });
    write_file_atomically(folder_ / "subword", subword);
    data_.folder = "prepared";
    data_.source_subword = data_.target_subword =
        std::make_shared<const text::SubwordModel>(folder_ / "subword");
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A model directory with what a training begins with; a classifier's classes are "a" and so on.
  fs::path write_teacher(const config::ModelConfig& config, uint64_t seed = 7) const {
    model::Transformer model(config);
    net::initialise(model.parameters(), config, seed);
    store::ModelDescription description;
    description.model = config;
    for (int64_t i = 0; i < config.classes; ++i)
      description.classes.emplace_back(1, static_cast<char>('a' + i));
    const auto tensors = tensor_views(model.parameters(), model.parameters().values(), "");
    store::write_model_directory(folder_ / "teacher", description, tensors,
                                 {.source = folder_ / "subword", .target = folder_ / "subword"});
    return folder_ / "teacher";
  }

  static config::TrainConfig distilling(double first, double weight, double temperature) {
    config::TrainConfig config = settings();
    config.objective.passes = 1;
    config.objective.weight_first = first;
    config.objective.teacher = {.model = "teacher", .weight = weight, .temperature = temperature};
    return config;
  }

  fs::path folder_;
  data::PreparedData data_;
};

config::ModelConfig elastic_model() {
  config::ModelConfig config = small_model(4);
  config.experts = {.count = 4,
                    .every = 1,
                    .feed_forward = 6,
                    .router = config::RouterKind::kFixed,
                    .active = 4,
                    .gate = config::Gate::kSoftmaxOfChosen};
  return config;
}

// T^2 KL between the two models' predictions, by libtorch's own operations.
TEST_F(TeacherTest, TheReportSaysHowFarTheModelIsFromIt) {
  const config::ModelConfig student = small_model(1);
  const Teacher teacher(write_teacher(elastic_model()), data_, student);
  const config::TrainConfig config = distilling(1, 0.5, 2);
  Trainer trainer(student, config);
  model::SegmentMemory memory;
  TrainingStep step(trainer.config, trainer.model, trainer.pool,
                    {.teacher = &teacher, .teacher_memory = &memory});
  const data::TokenBatch batch = batch_of({0, 1, 2});
  UpdateReport report;
  step.accumulate(batch, 0, 0, report);
  Trainer alone(student, distilling(1, 0, 1));
  UpdateReport without;
  alone.step.accumulate(batch, 0, 0, without);

  const at::NoGradGuard no_gradients;
  const objective::TeacherInputs theirs = teacher.predict(batch, {}, memory);
  const at::Tensor logt = at::log_softmax(at::matmul(theirs.states, theirs.output_weight.t()) / 2.0, -1);
  const at::Tensor logp = at::log_softmax(
      at::matmul(trainer.model.forward(batch, {}), trainer.model.output_weight().t()) / 2.0, -1);
  const at::Tensor each = (logt.exp() * (logt - logp)).sum(-1) * 4.0;
  double wanted = 0;
  for (size_t i = 0; i < batch.target_output.size(); ++i) {
    if (batch.target_output[i] != text::kPadId) wanted += each[static_cast<int64_t>(i)].item<float>();
  }
  EXPECT_GT(wanted, 0.1);
  EXPECT_NEAR(report.distillation, wanted, 1e-3 * wanted);
  const double cross_entropy = report.cross_entropy[0];
  EXPECT_NEAR(cross_entropy, without.cross_entropy[0], 1e-5 * cross_entropy) << "dropout is 0";
  EXPECT_EQ(without.distillation, 0);
}

// Without any cross-entropy: the student of one expert's width comes closer to the teacher with all experts.
TEST_F(TeacherTest, AStudentOfOneExpertsWidthLearns) {
  config::ModelConfig student = small_model(1);
  student.feed_forward = 6;
  const Teacher teacher(write_teacher(elastic_model()), data_, student);
  config::TrainConfig config = distilling(0, 1, 1);
  config.optimizer.learning_rate = 1e-2;
  Trainer trainer(student, config);
  model::SegmentMemory memory;
  TrainingStep step(trainer.config, trainer.model, trainer.pool,
                    {.teacher = &teacher, .teacher_memory = &memory});
  const std::vector<data::TokenBatch> batches = {batch_of({0, 1, 2, 3})};
  const double before = step.run(batches, 0, trainer.state).distillation;
  double after = before;
  for (int64_t update = 1; update < 80; ++update) {
    after = step.run(batches, update, trainer.state).distillation;
  }
  EXPECT_LT(after, 0.5 * before);
}

TEST_F(TeacherTest, AModelIsNotChangedByItself) {
  const config::ModelConfig model = small_model(1);
  Trainer trainer(model, distilling(0, 1, 1));
  const Teacher teacher(write_teacher(model, 1), data_, model);  // the trainer's first values
  model::SegmentMemory memory;
  TrainingStep step(trainer.config, trainer.model, trainer.pool,
                    {.teacher = &teacher, .teacher_memory = &memory});
  UpdateReport report;
  step.accumulate(batch_of({0, 1}), 0, 0, report);
  EXPECT_NEAR(report.distillation, 0, 1e-4);
  for (const float gradient : trainer.model.parameters().gradients()) EXPECT_NEAR(gradient, 0, 1e-4);
}

config::ModelConfig classifier_of(config::ModelConfig config) {
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  config.classes = 3;
  return config;
}

data::TokenBatch labelled() {
  data::MemoryExamples examples;
  examples.add({0}, {5, 6, 7, 8});
  examples.add({2}, {11});
  examples.add({1}, {18, 6, 7, 9, 9, 10});
  return data::make_labelled_batch(examples, std::vector<int64_t>{0, 1, 2}, {.most = 32});
}

// T^2 KL between class logits, by libtorch's own operations, and a student that learns of nothing else.
TEST_F(TeacherTest, TeachesAClassifierItsClasses) {
  data_.classes = {"a", "b", "c"};
  config::ModelConfig student = classifier_of(small_model(1));
  student.feed_forward = 6;
  const Teacher teacher(write_teacher(classifier_of(elastic_model())), data_, student);
  config::TrainConfig config = distilling(0, 1, 2);
  config.optimizer.learning_rate = 1e-2;
  Trainer trainer(student, config);
  model::SegmentMemory memory;
  TrainingStep step(trainer.config, trainer.model, trainer.pool,
                    {.teacher = &teacher, .teacher_memory = &memory});
  const data::TokenBatch batch = labelled();
  const at::Tensor theirs = teacher.class_logits(batch, {});
  EXPECT_EQ(theirs.sizes(), (std::vector<int64_t>{3, 3}));
  EXPECT_FALSE(theirs.requires_grad());
  {
    // Without the dropout that the student's head has in training.
    const at::NoGradGuard no_gradients;
    const model::ClassHead head(trainer.model.parameters());
    const at::Tensor logits = head.logits(trainer.model.forward(batch, {}), batch, {});
    const at::Tensor logt = at::log_softmax(theirs / 2.0, -1), logp = at::log_softmax(logits / 2.0, -1);
    const double wanted = 4 * (logt.exp() * (logt - logp)).sum().item<float>();
    const auto loss = objective::class_loss({.logits = logits, .labels = batch.labels, .teacher = theirs},
                                            {.temperature = 2});
    EXPECT_GT(wanted, 1e-3);
    EXPECT_NEAR(loss.distillation, wanted, 1e-4 * wanted);
  }
  const double before = step.run(std::vector{batch}, 0, trainer.state).distillation;
  double after = before;
  for (int64_t update = 1; update < 80; ++update) {
    after = step.run(std::vector{batch}, update, trainer.state).distillation;
  }
  EXPECT_GT(before, 0);
  EXPECT_LT(after, 0.5 * before);
  EXPECT_TRUE(memory.passes.empty());
}

TEST_F(TeacherTest, AClassifierWantsItsOwnClasses) {
  const config::ModelConfig classifier = classifier_of(small_model(1));
  config::ModelConfig lm = classifier;
  lm.classes = 0;
  data_.classes = {"a", "b", "z"};
  const fs::path path = write_teacher(classifier);
  EXPECT_THAT([&] { Teacher(path, data_, classifier); },
              ThrowsMessage<Error>(HasSubstr("wanted a teacher of the classes a, b, z, as prepared has them, "
                                             "found a, b, c; train it on data with these labels")));
  data_.classes = {};
  EXPECT_THAT([&] { Teacher(path, data_, lm); },
              ThrowsMessage<Error>(HasSubstr("wanted a teacher that predicts symbols, as the recipe's model, "
                                             "found a classifier")));
  write_teacher(lm);
  data_.classes = {"a", "b", "c"};
  EXPECT_THAT(
      [&] { Teacher(path, data_, classifier); },
      ThrowsMessage<Error>(HasSubstr("wanted a classifier as a teacher, as the recipe's model, found a "
                                     "model that predicts symbols")));
}

// A teacher that reads segments remembers those before, and predicts otherwise with them.
TEST_F(TeacherTest, ATeacherRemembersItsSegments) {
  config::ModelConfig model = small_model(1);
  model.kind = config::ModelKind::kCausalLm;
  model.encoder_layers = 0;
  model.positions = config::Positions::kRelative;
  model.max_length = model.memory = 8;
  model.evaluation_block = 4;
  const Teacher teacher(write_teacher(model), data_, model);
  EXPECT_EQ(teacher.config().evaluation_block, 0);
  data::MemoryExamples text;
  text.add({}, {5, 6, 7, 8, 9, 10, 11});
  data::TokenBatch first = data::make_batch(text, std::vector<int64_t>{0}), second = first;
  second.first_position = 8;
  model::SegmentMemory memory, none;
  teacher.predict(first, {}, memory);
  ASSERT_EQ(memory.passes.size(), 1u);
  EXPECT_EQ(memory.passes[0][0].size(1), 8);
  const at::Tensor with = teacher.predict(second, {}, memory).states;
  EXPECT_FALSE(at::allclose(with, teacher.predict(first, {}, none).states, 1e-3, 1e-3));
  EXPECT_EQ(memory.passes[0][0].size(1), 8) << "as much as in its training";
  EXPECT_FALSE(with.requires_grad());
}

TEST_F(TeacherTest, SaysWhichTeacherItWants) {
  const fs::path path = write_teacher(small_model(1));
  config::ModelConfig lm = small_model(1);
  lm.kind = config::ModelKind::kCausalLm;
  lm.encoder_layers = 0;
  EXPECT_THAT([&] { Teacher(path, data_, lm); },
              ThrowsMessage<Error>(HasSubstr("wanted a teacher of the kind causal_lm")));
  config::ModelConfig longer = small_model(1);
  longer.max_length = 64;
  EXPECT_THAT([&] { Teacher(path, data_, longer); },
              ThrowsMessage<Error>(HasSubstr("reads sides of 64 tokens (model.max_length), found 32")));
  data::PreparedData other;
  other.folder = "other";
  text::SubwordTraining training;
  training.config.vocabulary = 17;
  training.config.byte_fallback = false;
  int line = 0;
  const std::string subword = text::train_subword(training, [&line](std::string& sentence) {
    sentence = "one two three four five";
    return ++line < 40;
  });
  other.source_subword = other.target_subword =
      std::make_shared<const text::SubwordModel>(text::SubwordModel::from_bytes(subword, "other"));
  EXPECT_THAT([&] { Teacher(path, other, small_model(1)); },
              ThrowsMessage<Error>(HasSubstr("its subwords are not those of other")));
}

TEST_F(TeacherTest, ARunKeepsItsTeacher) {
  const fs::path path = write_teacher(small_model(1)), run = folder_ / "run";
  fs::create_directories(run);
  EXPECT_NO_THROW(check_teacher(path, run)) << "nothing is trained yet";
  fs::create_directories(run / "checkpoints");
  EXPECT_NO_THROW(check_teacher("", run));
  EXPECT_THAT([&] { check_teacher(path, run); }, ThrowsMessage<Error>(HasSubstr("it began without")));
  remember_teacher(path, run);
  EXPECT_NO_THROW(check_teacher(path, run));
  fs::rename(path, folder_ / "moved");
  EXPECT_NO_THROW(check_teacher(folder_ / "moved", run));
  EXPECT_THAT([&] { check_teacher("", run); }, ThrowsMessage<Error>(HasSubstr("goes on without")));
  write_teacher(small_model(1), 8);
  EXPECT_THAT([&] { check_teacher(path, run); }, ThrowsMessage<Error>(HasSubstr("has other weights")));
}

}  // namespace
}  // namespace megin::train
