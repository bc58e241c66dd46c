#include "report/tensorboard_events.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "report/crc32c.h"
#include "report/event.pb.h"

namespace megin::report {
namespace {
namespace fs = std::filesystem;

using testing::Event;

template <typename Integer>
Integer little_endian(std::string_view bytes) {
  Integer value = 0;
  for (size_t i = 0; i < sizeof(Integer); ++i) {
    value |= static_cast<Integer>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

// The checksum as TensorFlow's record_reader undoes its mask.
uint32_t unmasked(uint32_t masked) {
  const uint32_t turned = masked - 0xA282EAD8u;
  return turned << 15 | turned >> 17;
}

std::vector<Event> read_events(const fs::path& path) {
  const std::string bytes = read_file(path);
  std::vector<Event> events;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const auto size = little_endian<uint64_t>(rest);
    EXPECT_EQ(unmasked(little_endian<uint32_t>(rest.substr(8))), crc32c(rest.substr(0, 8)));
    const std::string_view data = rest.substr(12, size);
    EXPECT_EQ(unmasked(little_endian<uint32_t>(rest.substr(12 + size))), crc32c(data));
    EXPECT_TRUE(events.emplace_back().ParseFromArray(data.data(), static_cast<int>(data.size())));
    rest.remove_prefix(16 + size);
  }
  return events;
}

class TensorboardEventsTest : public ::testing::Test {
 protected:
  TensorboardEventsTest() : directory_(fs::path(::testing::TempDir()) / "megin_events_test") {
    fs::remove_all(directory_);
  }
  ~TensorboardEventsTest() override { fs::remove_all(directory_); }

  fs::path directory_;
  ManualClock clock_{1700000000.25};
};

TEST_F(TensorboardEventsTest, StartsWithTheVersionAndHasAPointForEachScalar) {
  TensorboardEvents events(directory_, 0, clock_);
  EXPECT_TRUE(events.path().filename().string().starts_with("events.out.tfevents.1700000000."));
  clock_.advance(1.5);
  events.scalar("train/loss", 300, 4.21);
  events.scalar("train/loss", int64_t{1} << 40, std::numeric_limits<double>::quiet_NaN());
  const std::vector<Event> read = read_events(events.path());  // while the file is still open
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0].file_version(), "brain.Event:2");
  EXPECT_EQ(read[0].wall_time(), 1700000000.25);
  EXPECT_EQ(read[1].wall_time(), 1700000001.75);
  EXPECT_EQ(read[1].step(), 300);
  ASSERT_EQ(read[1].summary().value_size(), 1);
  EXPECT_EQ(read[1].summary().value(0).tag(), "train/loss");
  EXPECT_EQ(read[1].summary().value(0).simple_value(), 4.21F);
  EXPECT_EQ(read[2].step(), int64_t{1} << 40);
  EXPECT_TRUE(std::isnan(read[2].summary().value(0).simple_value()));
}

TEST_F(TensorboardEventsTest, ATextIsATensorOfOneStringForTheTextPlugin) {
  TensorboardEvents events(directory_, 0, clock_);
  const std::string long_text(100000, 'x');
  events.text("translations", 7, "**Grüße** & <more>");
  events.text("config", 8, long_text);
  const std::vector<Event> read = read_events(events.path());
  ASSERT_EQ(read.size(), 3u);
  const auto& value = read[1].summary().value(0);
  EXPECT_EQ(value.tag(), "translations");
  EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "text");
  EXPECT_EQ(value.tensor().dtype(), testing::DT_STRING);
  ASSERT_EQ(value.tensor().tensor_shape().dim_size(), 1);
  EXPECT_EQ(value.tensor().tensor_shape().dim(0).size(), 1);
  ASSERT_EQ(value.tensor().string_val_size(), 1);
  EXPECT_EQ(value.tensor().string_val(0), "**Grüße** & <more>");
  EXPECT_EQ(read[2].summary().value(0).tensor().string_val(0), long_text);
}

TEST_F(TensorboardEventsTest, AResumedRunOpensAnotherFileAndSaysWhereItGoesOn) {
  TensorboardEvents first(directory_, 0, clock_);
  first.scalar("train/loss", 10, 1);
  TensorboardEvents second(directory_, 6, clock_);  // within the same second
  EXPECT_NE(first.path(), second.path());
  EXPECT_LT(first.path().string(), second.path().string());
  const std::vector<Event> read = read_events(second.path());
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[1].session_log().status(), testing::SessionLog::START);
  EXPECT_EQ(read[1].step(), 6);
}

TEST_F(TensorboardEventsTest, ADirectoryThatCannotBeIsAnError) {
  write_file_atomically(directory_, "a file is in the way");
  EXPECT_THROW(TensorboardEvents(directory_ / "run", 0, clock_), Error);
}

// A limit on the size of files stands in for a full disk.
TEST_F(TensorboardEventsTest, AFullDiskIsAnError) {
  TensorboardEvents events(directory_, 0, clock_);
  rlimit former{};
  getrlimit(RLIMIT_FSIZE, &former);
  const auto former_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 100, .rlim_max = former.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(events.text("x", 1, std::string(1000, 'x')), Error);
  setrlimit(RLIMIT_FSIZE, &former);
  std::signal(SIGXFSZ, former_handler);
}

}  // namespace
}  // namespace megin::report
