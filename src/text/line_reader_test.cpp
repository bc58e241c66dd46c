#include "text/line_reader.h"

#include "text/test_support.h"

namespace megin::text {
namespace {

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  LineReader reader(path);
  std::vector<std::string> lines;
  for (std::string line; reader.next(line);) lines.push_back(line);
  EXPECT_EQ(reader.line_number(), lines.size());
  return lines;
}

using Lines = std::vector<std::string>;

TEST(LineReader, TakesBothLineEndsAndAMissingLastOne) {
  EXPECT_EQ(lines_of(write_test_file("a", "one\ntwo\r\n\nfour")), (Lines{"one", "two", "", "four"}));
  EXPECT_EQ(lines_of(write_test_file("b", "one\n")), (Lines{"one"}));
  EXPECT_EQ(lines_of(write_test_file("c", "")), Lines{});
  EXPECT_EQ(lines_of(write_test_file("d", "\n")), (Lines{""}));
}

TEST(LineReader, KeepsACarriageReturnInsideALine) {
  EXPECT_EQ(lines_of(write_test_file("a", "one\rtwo\n")), (Lines{"one\rtwo"}));
}

TEST(LineReader, SkipsAByteOrderMarkOnlyAtTheStart) {
  EXPECT_EQ(lines_of(write_test_file("a", "\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo\n")),
            (Lines{"one", "\xEF\xBB\xBFtwo"}));
}

TEST(LineReader, NamesTheCommandThatConvertsUtf16) {
  const auto path = write_test_file("a", std::string_view("\xFF\xFEh\0i\0", 6));
  EXPECT_TRUE(
      contains(error_of([&] { LineReader reader(path); }), ":1: wanted UTF-8 text, found UTF-16; convert"));
}

TEST(LineReader, TellsPackedFilesByTheirFirstBytes) {
  // Names that say the opposite of the content.
  EXPECT_EQ(lines_of(write_test_file("plain.gz", "one\ntwo")), (Lines{"one", "two"}));
  EXPECT_EQ(lines_of(write_test_file("gzip.zst", gzip("one\ntwo"))), (Lines{"one", "two"}));
  EXPECT_EQ(lines_of(write_test_file("zstd.txt", zstd("one\ntwo"))), (Lines{"one", "two"}));
}

TEST(LineReader, ReadsMembersAndFramesOneAfterTheOther) {
  EXPECT_EQ(lines_of(write_test_file("a", gzip("on") + gzip("e\ntwo"))), (Lines{"one", "two"}));
  EXPECT_EQ(lines_of(write_test_file("b", zstd("on") + zstd("e\ntwo"))), (Lines{"one", "two"}));
  EXPECT_EQ(lines_of(write_test_file("c", gzip("one\n") + std::string(100000, '\0'))), (Lines{"one"}));
}

TEST(LineReader, CrossesItsBufferAnywhere) {
  std::string text;
  Lines expected;
  for (size_t i = 0; i < 3000; ++i) {
    expected.push_back(std::string(i % 97, static_cast<char>('a' + i % 26)));
    text += expected.back() + (i % 2 == 0 ? "\r\n" : "\n");
  }
  EXPECT_EQ(lines_of(write_test_file("a", text)), expected);
  EXPECT_EQ(lines_of(write_test_file("b", gzip(text))), expected);
  EXPECT_EQ(lines_of(write_test_file("c", zstd(text))), expected);
}

std::string numbered_lines(size_t lines) {
  std::string text;
  for (size_t i = 1; i <= lines; ++i) text += "line " + std::to_string(i * 7919 % 10007) + "\n";
  return text;
}

// Cut anywhere, the file gives whole lines and then an Error with its name, the line reached and the remedy.
void expect_truncation_is_found(const std::string& packed, size_t least) {
  for (const size_t length : {least, packed.size() / 3, packed.size() / 2, packed.size() - 1}) {
    const auto path = write_test_file("cut", packed.substr(0, length));
    size_t lines = 0;
    const std::string message = error_of([&] {
      LineReader reader(path);
      for (std::string line; reader.next(line);) ++lines;
    });
    EXPECT_TRUE(contains(message, path.string() + ":" + std::to_string(lines + 1) + ": the ")) << message;
    EXPECT_TRUE(contains(message, "this file is incomplete; copy or download it again")) << message;
  }
}

TEST(LineReader, RefusesTruncatedPackedFiles) {
  expect_truncation_is_found(gzip(numbered_lines(20000)), 5);
  expect_truncation_is_found(zstd(numbered_lines(20000)), 5);
}

TEST(LineReader, RefusesDamagedGzip) {
  std::string packed = gzip(numbered_lines(20000));
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);  // its checksum
  const auto path = write_test_file("a.gz", packed);
  const std::string message = error_of([&] { lines_of(path); });
  EXPECT_TRUE(
      contains(message, path.string() + ":20001: the gzip data is damaged here (incorrect data check)"))
      << message;
}

TEST(LineReader, RefusesALineBeyondTheLimit) {
  const auto path = write_test_file("a", "12345678\n123456789\n");
  LineReader reader(path, 8);
  std::string line;
  EXPECT_TRUE(reader.next(line));
  EXPECT_TRUE(
      contains(error_of([&] { reader.next(line); }), path.string() + ":2: wanted lines of at most 8 bytes"));
}

TEST(LineReader, NamesAMissingFileAndADirectory) {
  EXPECT_TRUE(contains(error_of([] { LineReader reader("/nowhere/text"); }), "/nowhere/text: cannot open"));
  EXPECT_TRUE(contains(error_of([] { LineReader reader("/"); }), "found a directory"));
}

TEST(ReadBytes, StopsAtItsLimit) {
  const auto path = write_test_file("a", gzip(std::string(100000, 'a')));
  EXPECT_EQ(read_bytes(path, 100000), std::string(100000, 'a'));
  EXPECT_TRUE(contains(error_of([&] { read_bytes(path, 99999); }), "wanted at most 99999 bytes (unpacked)"));
}

}  // namespace
}  // namespace megin::text
