// Files that torch.save made (test_files/make_test_files.py), and zip archives built by hand.
#include "exchange/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "exchange/pickle.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

fs::path pickles() {
  return fs::path(MEGIN_TEST_FILES) / "pickles";
}

std::vector<float> values(const TorchFile& file, const std::string& name) {
  const auto found = std::ranges::find(file.tensors(), name, &StridedTensor::name);
  if (found == file.tensors().end()) return {-999};
  return to_floats(*found);
}

TEST(TorchFile, ReadsTensorsOfAllKinds) {
  const TorchFile file(pickles() / "table.bin");
  EXPECT_EQ(file.tensors().size(), 11U);
  std::vector<float> counted(24);
  for (size_t i = 0; i < counted.size(); ++i) counted[i] = static_cast<float>(i);
  EXPECT_EQ(values(file, "plain"), counted);
  std::vector<float> transposed;
  for (size_t column = 0; column < 6; ++column) {
    for (size_t row = 0; row < 4; ++row) transposed.push_back(static_cast<float>(row * 6 + column));
  }
  EXPECT_EQ(values(file, "transposed"), transposed);
  EXPECT_THAT(values(file, "part"), ElementsAre(6, 8, 10, 12, 14, 16)) << "rows 1 and 2, every other column";
  EXPECT_THAT(values(file, "shared"), ElementsAre(5, 6));
  EXPECT_THAT(values(file, "half"), ElementsAre(1.5F, -2.25F, 65504.0F));
  EXPECT_THAT(values(file, "brain"), ElementsAre(1.5F, -3.0F));
  EXPECT_THAT(values(file, "wide"), ElementsAre(0.1F, 2.0F));
  EXPECT_THAT(values(file, "scalar"), ElementsAre(7.5F));
  EXPECT_THAT(values(file, "empty"), ElementsAre());
  EXPECT_THAT(values(file, "parameter"), ElementsAre(4, 5));
  const auto whole = std::ranges::find(file.tensors(), "whole", &StridedTensor::name);
  EXPECT_EQ(whole->dtype, store::DType::kI64);
  EXPECT_THROW(to_floats(*whole), Error) << "no real numbers";
}

TEST(TorchFile, NamesTensorsInDictionariesByTheirPath) {
  const TorchFile file(pickles() / "nested.bin");
  ASSERT_EQ(file.tensors().size(), 1U) << "numbers, lists and strings are passed over";
  EXPECT_EQ(file.tensors()[0].name, "model.w");
}

TEST(TorchFile, RefusesPythonObjectsByName) {
  EXPECT_THAT([] { TorchFile(pickles() / "evil.bin"); },
              ThrowsMessage<Error>(HasSubstr("found the Python object __builtin__.print, which is not run")));
}

TEST(TorchFile, RefusesTheOlderFormat) {
  EXPECT_THAT([] { TorchFile(pickles() / "legacy.bin"); },
              ThrowsMessage<Error>(HasSubstr("wanted the zip format of torch.save (PyTorch 1.6 and later)")));
}

// A pickle by hand: protocol 2, then `body`.
Pickled pickled(std::string body) {
  body = "\x80\x02" + body;
  return read_pickle({reinterpret_cast<const std::byte*>(body.data()), body.size()}, "test");
}

TEST(Pickle, ReadsPlainContainers) {
  using namespace std::string_literals;  // strings with zero bytes
  // [5, 256, -2, -256, 0.5, None, True, "ab", (7,)]: BININT1, BININT2, BININT, LONG1, BINFLOAT ...
  const Pickled read = pickled(
      "]("
      "K\x05M\x00\x01J\xFE\xFF\xFF\xFF\x8A\x02\x00\xFFG\x3F\xE0\x00\x00\x00\x00\x00\x00N\x88X\x02\x00\x00\x00"
      "abK\x07\x85"
      "e."s);
  const auto& items = std::get<PickledList>(read.root->value).items;
  ASSERT_EQ(items.size(), 9U);
  EXPECT_EQ(std::get<int64_t>(items[0]->value), 5);
  EXPECT_EQ(std::get<int64_t>(items[1]->value), 256);
  EXPECT_EQ(std::get<int64_t>(items[2]->value), -2);
  EXPECT_EQ(std::get<int64_t>(items[3]->value), -256);
  EXPECT_EQ(std::get<double>(items[4]->value), 0.5);
  EXPECT_TRUE(std::holds_alternative<PickledNone>(items[5]->value));
  EXPECT_TRUE(std::get<bool>(items[6]->value));
  EXPECT_EQ(std::get<std::string>(items[7]->value), "ab");
  EXPECT_EQ(std::get<int64_t>(std::get<PickledList>(items[8]->value).items.at(0)->value), 7);
}

TEST(Pickle, RefusesWhatNoCheckpointNeeds) {
  EXPECT_THROW(pickled("cos\nsystem\n."), Error);
  EXPECT_THROW(pickled("ctorch\nload\n."), Error);
  EXPECT_THROW(pickled("\x93."), Error) << "STACK_GLOBAL";
  EXPECT_THROW(pickled("iposix\nsystem\n."), Error) << "INST";
  EXPECT_THROW(pickled("h\x01."), Error) << "nothing was stored there";
  EXPECT_THROW(pickled("K\x01"), Error) << "no end";
  EXPECT_THROW(pickled("."), Error) << "nothing on the stack";
  EXPECT_THROW(pickled("t."), Error) << "no mark";
  EXPECT_THROW(pickled("](K\x01u."), Error) << "items in a list";
}

// Little-endian numbers and strings, one after the other.
class Archive {
 public:
  Archive& put(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 0xFF);
    return *this;
  }
  Archive& put(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  uint64_t size() const { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// One member, "a/b" with "hello", whose sizes and places stand in the zip64 fields alone.
std::string zip64(uint64_t method = 0) {
  Archive zip;
  zip.put(0x04034B50, 4).put(45, 2).put(0, 2).put(method, 2).put(0, 8).put(0xFFFFFFFF, 4).put(0xFFFFFFFF, 4);
  zip.put(3, 2).put(4, 2).put("a/b").put(0xCAFE, 2).put(0, 2).put("hello");
  const uint64_t directory = zip.size();
  zip.put(0x02014B50, 4).put(45, 2).put(45, 2).put(0, 2).put(method, 2).put(0, 8);
  zip.put(0xFFFFFFFF, 4).put(0xFFFFFFFF, 4).put(3, 2).put(28, 2).put(0, 2).put(0, 2).put(0, 2).put(0, 4);
  zip.put(0xFFFFFFFF, 4).put("a/b");
  zip.put(1, 2).put(24, 2).put(5, 8).put(5, 8).put(0, 8);
  const uint64_t end64 = zip.size();
  zip.put(0x06064B50, 4).put(44, 8).put(45, 2).put(45, 2).put(0, 8).put(1, 8).put(1, 8);
  zip.put(end64 - directory, 8).put(directory, 8);
  zip.put(0x07064B50, 4).put(0, 4).put(end64, 8).put(1, 4);
  zip.put(0x06054B50, 4)
      .put(0, 4)
      .put(0xFFFF, 2)
      .put(0xFFFF, 2)
      .put(0xFFFFFFFF, 4)
      .put(0xFFFFFFFF, 4)
      .put(0, 2);
  return zip.bytes();
}

TEST(ZipArchive, ReadsZip64AndRefusesCompression) {
  const fs::path file = fs::path(testing::TempDir()) / "megin_zip64.zip";
  write_file_atomically(file, zip64());
  const ZipArchive archive(file);
  ASSERT_EQ(archive.members().size(), 1U);
  const ZipMember& member = *archive.find("a/b");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(member.bytes.data()), member.bytes.size()), "hello");
  EXPECT_EQ(archive.find("a/c"), nullptr);
  write_file_atomically(file, zip64(8));
  EXPECT_THAT([&] { ZipArchive again(file); }, ThrowsMessage<Error>(HasSubstr("'a/b' is compressed")));
  fs::remove(file);
}

}  // namespace
}  // namespace megin::exchange
