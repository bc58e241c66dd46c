#include "base/files.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace megin {
namespace {
namespace fs = std::filesystem;

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  size_t entries() const { return std::distance(fs::directory_iterator(folder_), fs::directory_iterator()); }

  fs::path folder_;
};

TEST_F(FilesTest, AtomicWriteReplacesAndLeavesNothingElse) {
  write_file_atomically(folder_ / "a", "old");
  write_file_atomically(folder_ / "a", std::string("n\0w", 3));
  EXPECT_EQ(read_file(folder_ / "a"), std::string("n\0w", 3));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FilesTest, AFullDiskKeepsTheOldFile) {
  // /dev/full answers every write with "no space left".
  std::error_code error;
  if (!fs::exists("/dev/full", error)) GTEST_SKIP() << "no /dev/full on this system";
  std::ofstream full("/dev/full");
  EXPECT_THROW(write_file_atomically("/dev/full/x", "bytes"), Error);
}

TEST_F(FilesTest, DirectoryIsWholeOrAbsent) {
  const fs::path target = folder_ / "d";
  EXPECT_THROW(write_directory_atomically(target,
                                          [](const fs::path& d) {
                                            write_file_atomically(d / "x", "1");
                                            fail("half way");
                                          }),
               Error);
  EXPECT_EQ(entries(), 0u);
  write_directory_atomically(target, [](const fs::path& d) { write_file_atomically(d / "x", "1"); });
  EXPECT_THROW(write_directory_atomically(target, [](const fs::path&) {}), Error);
  write_directory_atomically(
      target, [](const fs::path& d) { write_file_atomically(d / "x", "2"); }, true);
  EXPECT_EQ(read_file(target / "x"), "2");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FilesTest, MappedFileHoldsTheBytes) {
  write_file_atomically(folder_ / "m", "mapped");
  MappedFile mapped(folder_ / "m");
  const MappedFile moved(std::move(mapped));
  ASSERT_EQ(moved.bytes().size(), 6u);
  EXPECT_EQ(std::to_integer<char>(moved.bytes()[5]), 'd');
}

TEST_F(FilesTest, ChecksumOfAFileIsThatOfItsBytes) {
  const std::string bytes(200000, 'x');
  write_file_atomically(folder_ / "c", bytes);
  EXPECT_EQ(file_checksum(folder_ / "c"), checksum(bytes));
  // XXH3_64bits of nothing, from the xxHash specification's test vectors.
  EXPECT_EQ(checksum(""), 0x2D06800538D394C2ULL);
}

TEST_F(FilesTest, AMissingFileIsNamed) {
  try {
    read_file(folder_ / "absent");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("absent"), std::string::npos);
  }
}

}  // namespace
}  // namespace megin
