#include "data/prepared_data.h"

#include "data/data_index.h"
#include "data/test_support.h"

namespace megin::data {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class PreparedDataTest : public PrepareTest {
 protected:
  fs::path out_;

  void SetUp() override {
    PrepareTest::SetUp();
    run(config({corpus("a", 0, 300)}));
    out_ = folder_ / "out";
  }

  std::string error_of_opening() const {
    try {
      open_prepared(out_);
      verify_prepared(out_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(PreparedDataTest, AChangedByteInAnyFileIsNamed) {
  for (const FileEntry& file : list_files(out_)) {
    const std::string good = read_file(out_ / file.name);
    for (const size_t at : {size_t{0}, good.size() / 2, good.size() - 1}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1);
      std::ofstream(out_ / file.name, std::ios::binary) << bad;
      EXPECT_THAT(error_of_opening(), HasSubstr(file.name)) << at;
    }
    std::ofstream(out_ / file.name, std::ios::binary) << good.substr(0, good.size() - 1);
    EXPECT_THAT(error_of_opening(), HasSubstr(file.name));
    fs::remove(out_ / file.name);
    EXPECT_THAT(error_of_opening(), HasSubstr(file.name));
    std::ofstream(out_ / file.name, std::ios::binary) << good;
  }
  EXPECT_EQ(error_of_opening(), "no error");
}

TEST_F(PreparedDataTest, ADamagedIndexIsAnErrorAndNothingWorse) {
  const std::string good = read_file(out_ / kIndexFile);
  for (size_t size = 0; size + 1 < good.size(); size += 7) {  // without its last newline it is whole
    std::ofstream(out_ / kIndexFile, std::ios::binary) << good.substr(0, size);
    EXPECT_THAT(error_of_opening(), HasSubstr(kIndexFile)) << size;
  }
  for (const char* text :
       {"[]", "1", "{}", "{\"format\":\"megin-data\"}", "{\"format\":\"megin-data\",\"version\":1}"}) {
    std::ofstream(out_ / kIndexFile, std::ios::binary) << text;
    EXPECT_THAT(error_of_opening(), HasSubstr(kIndexFile)) << text;
  }
  std::ofstream(out_ / kIndexFile) << "{\"format\":\"megin-data\",\"version\":9}";
  EXPECT_THAT(error_of_opening(), HasSubstr("version 9, wanted 1"));
}

TEST_F(PreparedDataTest, AFolderThatWasNotPreparedIsSaidSo) {
  EXPECT_THROW(open_prepared(folder_ / "nowhere"), Error);
  fs::remove(out_ / kIndexFile);
  EXPECT_THAT(error_of_opening(), HasSubstr("megin prepare"));
}

}  // namespace
}  // namespace megin::data
