#include "store/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "store/test_folder.h"

namespace megin::store {
namespace {

namespace fs = std::filesystem;

const fs::path kTestFiles = MEGIN_TEST_FILES;

class Safetensors : public TestFolder {
 protected:
  // A file of this header and this many bytes of data.
  fs::path made_file(const std::string& header, size_t data_bytes) {
    const uint64_t length = header.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    const fs::path path = folder_ / "made.safetensors";
    write_file_atomically(path, bytes + header + std::string(data_bytes, '\0'));
    return path;
  }

  void expect_refused(const std::string& header, size_t data_bytes, const std::string& because) {
    const fs::path path = made_file(header, data_bytes);
    const std::string message = message_of([&] { SafetensorsFile file(path); });
    EXPECT_NE(message.find(because), std::string::npos) << message;
    EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  }
};

template <typename T>
std::vector<T> raw_values(const TensorView& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

// reference.safetensors was written by the reference implementation (test_files/make_fixtures.py).
TEST_F(Safetensors, ReadsWhatTheReferenceImplementationWrote) {
  const SafetensorsFile file(kTestFiles / "reference.safetensors");
  EXPECT_EQ(file.tensors().size(), 11U);
  EXPECT_EQ(file.metadata(), (Metadata{{"made by", "make_fixtures.py"}}));

  const TensorView& matrix = file.at("matrix");
  EXPECT_EQ(matrix.shape, (std::vector<int64_t>{2, 3}));
  const std::span<const float> values = float_values(matrix);
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()), (std::vector<float>{0, .25, .5, .75, 1, 1.25}));
  EXPECT_TRUE(file.at("scalar").shape.empty());
  EXPECT_EQ(float_values(file.at("scalar"))[0], -7.25F);
  EXPECT_EQ(file.at("empty").shape, (std::vector<int64_t>{0, 4}));
  EXPECT_TRUE(file.at("empty").bytes.empty());
  EXPECT_EQ(file.at("int64").dtype, DType::kI64);
  EXPECT_EQ(raw_values<int64_t>(file.at("int64")), (std::vector<int64_t>{-(int64_t{1} << 62), 5}));
  EXPECT_EQ(raw_values<int32_t>(file.at("int32")), (std::vector<int32_t>{-1, 2}));
  EXPECT_EQ(raw_values<uint8_t>(file.at("uint8")), (std::vector<uint8_t>{0, 255, 7}));
  EXPECT_EQ(file.at("boolean").dtype, DType::kBool);
  EXPECT_EQ(raw_values<uint8_t>(file.at("a \"quoted\" n\u00e4me\t")), (std::vector<uint8_t>{42}));
}

TEST_F(Safetensors, ConvertsRealNumbersToFloats) {
  const SafetensorsFile file(kTestFiles / "reference.safetensors");
  const auto infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(to_floats(file.at("half")),
            (std::vector<float>{1.5F, -2.0F, 0.0F, 65504.0F, -1023.0F / 16777216.0F, infinity}));
  EXPECT_EQ(to_floats(file.at("brain")),
            (std::vector<float>{1.5F, -2.0F, std::ldexp(1.0F, -133), -infinity}));
  EXPECT_EQ(to_floats(file.at("double")), (std::vector<float>{static_cast<float>(1.0 / 3.0), -infinity}));
  EXPECT_EQ(to_floats(file.at("matrix")).size(), 6U);
  EXPECT_THROW(to_floats(file.at("int64")), Error);
  EXPECT_THROW(float_values(file.at("half")), Error);
}

// The same bytes as the reference implementation's: so it reads what this writer writes.
TEST_F(Safetensors, WritesTheSameBytesAsTheReferenceImplementation) {
  const SafetensorsFile file(kTestFiles / "reference.safetensors");
  const fs::path copy = folder_ / "copy.safetensors";
  write_safetensors(copy, file.tensors(), file.metadata());
  EXPECT_EQ(read_file(copy), read_file(kTestFiles / "reference.safetensors"));
}

TEST_F(Safetensors, WritesValuesOfTheCaller) {
  const std::vector<float> values = {0, .25, .5, .75, 1, 1.25};
  const fs::path path = folder_ / "one.safetensors";
  const std::vector<TensorView> tensors = {float_tensor("x", {2, 3}, values)};
  write_safetensors(path, tensors);
  EXPECT_EQ(read_file(path), read_file(kTestFiles / "one_tensor.safetensors"));
}

TEST_F(Safetensors, AFileWithoutTensorsIsGood) {
  const fs::path path = folder_ / "none.safetensors";
  write_safetensors(path, {}, {{"a", "b"}});
  const SafetensorsFile file(path);
  EXPECT_TRUE(file.tensors().empty());
  EXPECT_EQ(file.metadata().at("a"), "b");
}

TEST_F(Safetensors, TensorsStayValidWhenTheFileIsMovedInMemory) {
  SafetensorsFile file(kTestFiles / "reference.safetensors");
  const float* before = float_values(file.at("matrix")).data();
  const SafetensorsFile moved = std::move(file);
  EXPECT_EQ(float_values(moved.at("matrix")).data(), before);
}

TEST_F(Safetensors, AMissingTensorIsNamed) {
  const SafetensorsFile file(kTestFiles / "one_tensor.safetensors");
  EXPECT_EQ(file.find("y"), nullptr);
  const std::string message = message_of([&] { file.at("y"); });
  EXPECT_NE(message.find("'y'"), std::string::npos) << message;
}

TEST_F(Safetensors, TheWriterRefusesWhatCannotBeRead) {
  const std::vector<float> values(6);
  const fs::path path = folder_ / "bad.safetensors";
  const std::vector<TensorView> twice = {float_tensor("x", {6}, values), float_tensor("x", {6}, values)};
  EXPECT_THROW(write_safetensors(path, twice), Error);
  const std::vector<TensorView> wrong_shape = {float_tensor("x", {2, 2}, values)};
  EXPECT_THROW(write_safetensors(path, wrong_shape), Error);
  const std::vector<TensorView> not_utf8 = {float_tensor("\xff", {6}, values)};
  EXPECT_THROW(write_safetensors(path, not_utf8), Error);
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(Safetensors, ALengthThatIsNotThereIsRefused) {
  const fs::path path = folder_ / "short.safetensors";
  for (const std::string& bytes :
       {std::string(), std::string("\x10\0\0", 3), std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}"),
        std::string("\x09\0\0\0\0\0\0\0{}", 10)}) {
    write_file_atomically(path, bytes);
    EXPECT_THROW(SafetensorsFile{path}, Error);
  }
  EXPECT_THROW(SafetensorsFile{folder_ / "absent.safetensors"}, Error);
}

TEST_F(Safetensors, AHeaderThatIsNotOneIsRefused) {
  expect_refused("[]", 0, "does not begin with '{'");
  expect_refused(" {}", 0, "does not begin with '{'");
  expect_refused("{", 0, "not JSON");
  expect_refused("{} x", 0, "not JSON");
  expect_refused("{\"\xff\":1}", 0, "not JSON");
  expect_refused(R"({"x":1})", 0, "a number");
  expect_refused(R"({"x":[]})", 0, "a list");
  expect_refused(R"({"x":null})", 0, "null");
  expect_refused(R"({"x":{"dtype":{}}})", 0, "an object");
  expect_refused(R"({"__metadata__":{"a":1}})", 0, "a number");
  expect_refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "two __metadata__");
  expect_refused(R"({"__metadata__":{"a":"b","a":"b"}})", 0, "'a' stands twice");
  expect_refused("{\"x\":{\"shape\":" + std::string(100'000, '[') + "}}", 0, "a list");
}

TEST_F(Safetensors, ATensorThatIsNotDescribedIsRefused) {
  expect_refused(R"({"x":{"shape":[1],"data_offsets":[0,4]}})", 4, "'x' has no dtype");
  expect_refused(R"({"x":{"dtype":"F32","data_offsets":[0,4]}})", 4, "'x' has no shape");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1]}})", 4, "'x' has no data_offsets");
  expect_refused(R"({"x":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", 4, "'F31'");
  expect_refused(R"({"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "negative");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4, "fraction");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4, "more than 2");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "not two numbers");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4, "twice");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})", 4, "'more'");
}

TEST_F(Safetensors, OffsetsThatDoNotTileTheDataAreRefused) {
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "cut short");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5,
                 "1 bytes after its last tensor");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "begin at 0");
  expect_refused(R"({"x":{"dtype":"F32","shape":[0],"data_offsets":[4,0]}})", 4, "begin at 0");
  expect_refused(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "do not fit");
  // Overlapping, with a hole, and a name given twice.
  const std::string x = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)";
  expect_refused(x + R"("y":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12, "begin at 8");
  expect_refused(x + R"("y":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16, "begin at 8");
  expect_refused(x + R"("x":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})", 12, "'x' stands twice");
}

TEST_F(Safetensors, NumbersThatOverflowAreRefused) {
  expect_refused(R"({"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
                 "do not fit");
  expect_refused(R"({"x":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,0]}})", 0,
                 "dimension");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})", 4,
                 "cut short");
  expect_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551616]}})", 4,
                 "fraction");
  std::string deep = "1";
  for (int i = 0; i < 40; ++i) deep += ",1";
  expect_refused(R"({"x":{"dtype":"F32","shape":[)" + deep + R"(],"data_offsets":[0,4]}})", 4,
                 "more than 32");
}

TEST_F(Safetensors, BytesThatAreNotAlignedAreConvertedAndNeverMisread) {
  // A byte before the float; the header is not padded, so nothing else aligns it by chance.
  const std::string header =
      R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})";
  const SafetensorsFile file(made_file(header + std::string(8 - header.size() % 8, ' '), 5));
  EXPECT_EQ(to_floats(file.at("x")), (std::vector<float>{0.0F}));
  EXPECT_THROW(float_values(file.at("x")), Error);
}

}  // namespace
}  // namespace megin::store
