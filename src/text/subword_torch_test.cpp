// SentencePiece and libtorch in one program, each with its own protobuf: linked plainly, this program dies at
// its start (subword_backend.h). It uses both, training included.
#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "text/subword.h"

namespace megin::text {
namespace {

TEST(SubwordWithLibtorch, TrainsEncodesAndDecodesBesideTensors) {
  EXPECT_EQ(at::ones({3, 4}).sum().item<float>(), 12.0F);
  int left = 200;
  SubwordTraining training;
  training.config.vocabulary = 270;
  training.config.kind = config::SubwordKind::kBpe;
  const std::string bytes = train_subword(training, [&left](std::string& sentence) {
    sentence = "a bee sees a sea of cabs " + std::string(1, static_cast<char>('a' + left % 5));
    return left-- > 0;
  });
  const SubwordModel model = SubwordModel::from_bytes(bytes, "test");
  EXPECT_EQ(model.decode(model.encode("a sea of bees…")), "a sea of bees…");
  EXPECT_EQ(at::ones({2}).sum().item<float>(), 2.0F);
}

}  // namespace
}  // namespace megin::text
