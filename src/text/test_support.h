// What the tests of this folder share: files with given content, packed content, and reading a corpus whole.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/corpus.h"

namespace megin::text {

// Writes `bytes` to a file of this name for the running test and returns its path.
inline std::filesystem::path write_test_file(const std::string& name, std::string_view bytes) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const auto folder = std::filesystem::path(testing::TempDir()) /
                      (std::string("megin_text_") + test->test_suite_name() + "_" + test->name());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / name, std::ios::binary) << bytes;
  return folder / name;
}

inline std::string gzip(std::string_view bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string zstd(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

// A corpus as "source => target" strings; "context: " comes first where there is one.
inline std::vector<std::string> pairs_of(const CorpusSpec& spec) {
  const auto reader = open_corpus(spec);
  std::vector<std::string> pairs;
  for (Pair pair; reader->next(pair);)
    pairs.push_back((pair.context.empty() ? "" : pair.context + ": ") + pair.source + " => " + pair.target);
  return pairs;
}

// The message of the Error that `run` throws; "no error" without one.
template <typename Run>
std::string error_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace megin::text
