// Files with random damage: every reader ends with pairs or with an Error, within bounds, whatever the bytes
// are. (With the asan preset a read outside a buffer fails here too.)
#include <functional>

#include "base/files.h"
#include "base/random.h"
#include "text/test_support.h"

namespace megin::text {
namespace {

// `original` after a few random changes: flipped bits, set bytes, a cut, a piece doubled.
std::string damaged(const std::string& original, uint64_t seed) {
  const uint64_t key = draw_key(seed, Purpose::kSampling);
  uint64_t counter = 0;
  const auto draw = [&](uint64_t n) { return draw_index(key, counter++, n); };
  std::string bytes = original;
  for (uint64_t change = 0, changes = 1 + draw(6); change < changes && !bytes.empty(); ++change) {
    const size_t at = draw(bytes.size());
    constexpr std::string_view kTelling("\0\xFF\x7F<>&\"\\\n#[;", 12);
    switch (draw(6)) {
      case 0:
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << draw(8)));
        break;
      case 2:
        bytes[at] = static_cast<char>(draw(256));
        break;
      case 3:
        bytes[at] = kTelling[draw(kTelling.size())];
        break;
      case 4:
        bytes.resize(at);
        break;
      default:
        bytes.insert(at, bytes.substr(draw(bytes.size()), 40));
    }
  }
  return bytes;
}

// Reads `files` damaged versions of `original`; returns how many were refused.
size_t read_damaged(const std::string& name, const std::string& original, size_t files) {
  size_t refused = 0;
  for (size_t seed = 0; seed < files; ++seed) {
    CorpusSpec spec;
    spec.paths = {write_test_file(name, damaged(original, seed))};
    spec.source_language = std::string("en");
    spec.target_language = std::string("de");
    if (error_of([&] { pairs_of(spec); }) != "no error") ++refused;
  }
  return refused;
}

constexpr size_t kFiles = 800;

TEST(DamagedFiles, MoEndsInPairsOrAnError) {
  for (const char* name : {"catalogue.mo", "catalogue_big_endian.mo", "catalogue_latin1.mo"}) {
    const std::string bytes = read_file(std::filesystem::path(MEGIN_TEST_FILES) / name);
    const size_t refused = read_damaged(name, bytes, kFiles);
    EXPECT_GT(refused, kFiles / 10);
    EXPECT_LT(refused, kFiles);
  }
}

TEST(DamagedFiles, PoEndsInPairsOrAnError) {
  const std::string bytes = read_file(std::filesystem::path(MEGIN_TEST_FILES) / "catalogue.po");
  const size_t refused = read_damaged("catalogue.po", bytes, kFiles);
  EXPECT_GT(refused, kFiles / 10);
  EXPECT_LT(refused, kFiles);
}

TEST(DamagedFiles, TmxEndsInPairsOrAnError) {
  const std::string bytes =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE tmx SYSTEM \"tmx14.dtd\">\n<tmx "
      "version=\"1.4\"><header/>"
      "<body>\n<tu><tuv xml:lang=\"en\"><seg>A <bpt i=\"1\">&lt;b></bpt>b<ept i=\"1\">x<sub>y</sub></ept> "
      "&amp; "
      "<hi>c</hi></seg></tuv>\n<tuv xml:lang=\"de\"><seg>\xC3\xA4 <ph/>b</seg></tuv></tu>\n</body></tmx>\n";
  const size_t refused = read_damaged("memory.tmx", bytes, kFiles);
  EXPECT_GT(refused, kFiles / 10);
  EXPECT_LT(refused, kFiles);
}

TEST(DamagedFiles, PackedTextEndsInPairsOrAnError) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "source " + std::to_string(i) + "\ttarget " + std::to_string(i * i) + "\n";
  EXPECT_GT(read_damaged("gzip.tsv", gzip(text), kFiles), kFiles / 2);
  EXPECT_GT(read_damaged("zstd.tsv", zstd(text), kFiles), kFiles / 10);
}

}  // namespace
}  // namespace megin::text
