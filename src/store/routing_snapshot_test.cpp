#include "store/routing_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"

namespace megin::store {
namespace {

namespace fs = std::filesystem;

std::string error_of(const fs::path& run) {
  try {
    read_routing_snapshots(run);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class RoutingSnapshotTest : public testing::Test {
 protected:
  RoutingSnapshotTest()
      : run_(fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(run_);
  }
  fs::path run_;
};

TEST_F(RoutingSnapshotTest, ComesBackInTheOrderOfUpdates) {
  const RoutingSnapshot late{.update = 100, .layers = {{"encoder 0", {0, 1, 65535}}, {"decoder 2", {256}}}};
  RoutingSnapshot early = late;
  early.update = 20;
  early.layers[0].experts = {3, 2, 1};
  write_routing_snapshot(run_, late);
  write_routing_snapshot(run_, early);
  const auto found = read_routing_snapshots(run_);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].update, 20);
  EXPECT_EQ(found[0].layers[0].experts, (std::vector<uint16_t>{3, 2, 1}));
  EXPECT_EQ(found[1].layers[0].experts, (std::vector<uint16_t>{0, 1, 65535}));
  EXPECT_EQ(found[1].layers[1].name, "decoder 2");
  EXPECT_EQ(found[1].layers[1].experts, (std::vector<uint16_t>{256}));
}

TEST_F(RoutingSnapshotTest, NamesWhatIsDamagedMissingOrOfAnotherRun) {
  EXPECT_THAT(error_of(run_), testing::HasSubstr("found no routes of its validations"));
  write_routing_snapshot(run_, {.update = 5, .layers = {{"encoder 0", {1, 2}}}});
  const fs::path file = run_ / "routing" / "update-5.routes";
  const std::string whole = read_file(file);
  for (const std::string& damaged :
       {whole.substr(0, whole.size() - 1), whole + "x", std::string("no JSON\n"), std::string()}) {
    write_file_atomically(file, damaged);
    EXPECT_THAT(error_of(run_), testing::HasSubstr("update-5.routes: this record")) << damaged;
  }
  write_file_atomically(file, whole);
  write_routing_snapshot(run_, {.update = 9, .layers = {{"encoder 0", {1}}}});
  EXPECT_THAT(error_of(run_), testing::HasSubstr("updates 5 and 9 are not of one validation set"));
}

}  // namespace
}  // namespace megin::store
