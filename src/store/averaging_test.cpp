#include "store/averaging.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "store/checkpoint.h"
#include "store/test_folder.h"

namespace megin::store {
namespace {

class Averaging : public TestFolder {
 protected:
  SafetensorsFile file(const std::string& name, const std::vector<TensorView>& tensors) {
    write_safetensors(folder_ / name, tensors);
    return SafetensorsFile(folder_ / name);
  }
};

TEST_F(Averaging, IsTheArithmeticMeanOfEachTensor) {
  const std::vector<float> first = {1, 2, 3, -4};
  const std::vector<float> second = {2, 2, 0, 4};
  const std::vector<float> third = {6, 5, 0, 3};
  const std::vector<float> one = {7};
  // In another order in the second file.
  const SafetensorsFile a = file("a", {float_tensor("w", {2, 2}, first), float_tensor("b", {}, one)});
  const SafetensorsFile b = file("b", {float_tensor("b", {}, one), float_tensor("w", {2, 2}, second)});
  const SafetensorsFile c = file("c", {float_tensor("w", {2, 2}, third), float_tensor("b", {}, one)});
  const auto mean = average_weights(std::vector<WeightSource>{{&a, ""}, {&b, ""}, {&c, ""}});
  ASSERT_EQ(mean.size(), 2U);
  EXPECT_EQ(mean[0].name, "w");
  EXPECT_EQ(mean[0].shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(mean[0].values, (std::vector<float>{3, 3, 1, 1}));
  EXPECT_EQ(mean[1].values, (std::vector<float>{7}));
}

TEST_F(Averaging, SumsInDoublePrecision) {
  // In fp32, 2^24 + 1 is 2^24, and the sum would lose both ones.
  const std::vector<float> large = {16777216.0F};
  const std::vector<float> one = {1};
  const SafetensorsFile a = file("a", {float_tensor("w", {1}, large)});
  const SafetensorsFile b = file("b", {float_tensor("w", {1}, one)});
  const auto mean = average_weights(std::vector<WeightSource>{{&a, ""}, {&b, ""}, {&b, ""}, {&b, ""}});
  EXPECT_EQ(mean[0].values[0], 4194304.75F);
}

TEST_F(Averaging, OfOneModelIsThatModelBitForBit) {
  const std::vector<float> values = {0.1F, -1e-42F, 3e38F};
  const SafetensorsFile a = file("a", {float_tensor("w", {3}, values)});
  EXPECT_EQ(average_weights(std::vector<WeightSource>{{&a, ""}})[0].values, values);
}

TEST_F(Averaging, OfCheckpointsTakesTheirValuesOnly) {
  const std::vector<float> value = {2};
  const std::vector<float> moment = {100};
  const SafetensorsFile a =
      file("a", {float_tensor("first_moment/w", {1}, moment), float_tensor("value/w", {1}, value)});
  const SafetensorsFile b = file("b", {float_tensor("w", {1}, moment)});
  const auto mean = average_weights(std::vector<WeightSource>{{&a, std::string(kValuePrefix)}, {&b, ""}});
  ASSERT_EQ(mean.size(), 1U);
  EXPECT_EQ(mean[0].name, "w");
  EXPECT_EQ(mean[0].values[0], 51);
}

TEST_F(Averaging, ModelsOfDifferentShapesAreNamed) {
  const std::vector<float> four(4);
  const SafetensorsFile a = file("a", {float_tensor("w", {2, 2}, four)});
  const SafetensorsFile b = file("b", {float_tensor("w", {4}, four)});
  const SafetensorsFile c = file("c", {float_tensor("v", {2, 2}, four)});
  const SafetensorsFile d = file("d", {float_tensor("w", {2, 2}, four), float_tensor("v", {2, 2}, four)});
  std::string message = message_of([&] { average_weights(std::vector<WeightSource>{{&a, ""}, {&b, ""}}); });
  EXPECT_NE(message.find("'w': wanted shape [2, 2]"), std::string::npos) << message;
  message = message_of([&] { average_weights(std::vector<WeightSource>{{&a, ""}, {&c, ""}}); });
  EXPECT_NE(message.find("no tensor 'w'"), std::string::npos) << message;
  message = message_of([&] { average_weights(std::vector<WeightSource>{{&a, ""}, {&d, ""}}); });
  EXPECT_NE(message.find("wanted 1 weight tensors"), std::string::npos) << message;
  EXPECT_THROW(average_weights(std::vector<WeightSource>{{&a, "value/"}}), Error);
  EXPECT_THROW(average_weights({}), UsageError);
}

}  // namespace
}  // namespace megin::store
