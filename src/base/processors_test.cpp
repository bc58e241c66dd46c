#include "base/processors.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace megin {
namespace {
namespace fs = std::filesystem;

// A control group tree in a temporary directory.
class ProcessorsTest : public testing::Test {
 protected:
  ProcessorsTest() : root_(fs::path(testing::TempDir()) / "megin_processors_test") {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~ProcessorsTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::optional<double> quota(const std::string& membership) {
    write("membership", membership);
    return cgroup_processor_quota(root_ / "membership", root_ / "cgroup");
  }

  fs::path root_;
};

TEST_F(ProcessorsTest, Version2TakesTheTightestUpToTheRoot) {
  write("cgroup/cpu.max", "max 100000\n");
  write("cgroup/a/cpu.max", "150000 100000\n");
  write("cgroup/a/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 1.5);
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
}

TEST_F(ProcessorsTest, Version2InAContainerReadsTheRootWhereItsOwnPathIsNotMounted) {
  write("cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota("0::/docker/0123456789\n"), 2.0);
}

TEST_F(ProcessorsTest, Version1HasOneFileForQuotaAndOneForPeriod) {
  write("cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "50000\n");
  write("cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  write("cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("5:memory:/x\n4:cpu,cpuacct:/job\n0::/\n"), 0.5);
  EXPECT_EQ(quota("4:cpuset:/job\n"), std::nullopt);
}

TEST_F(ProcessorsTest, NonsenseIsNoQuota) {
  write("cgroup/cpu.max", "fast please\n");
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
  EXPECT_EQ(quota("no colons\n:\n"), std::nullopt);
  EXPECT_EQ(cgroup_processor_quota(root_ / "absent", root_ / "cgroup"), std::nullopt);
}

TEST(Processors, ThereIsOneAtLeast) {
  EXPECT_GE(usable_processors(), 1);
}

TEST(Processors, UsageSeesMemoryTimeAndFaults) {
  const ProcessUsage before = process_usage();
  constexpr int64_t kBytes = 64 << 20;
  {
    std::vector<char> memory(kBytes, 1);
    volatile char sink = memory[kBytes / 2];
    (void)sink;
    const ProcessUsage during = process_usage();
    EXPECT_GE(during.resident_bytes, before.resident_bytes + kBytes / 2);
    EXPECT_GE(during.peak_resident_bytes, during.resident_bytes);
    EXPECT_GT(during.minor_faults, before.minor_faults);
  }
  EXPECT_GE(process_usage().peak_resident_bytes, before.resident_bytes + kBytes / 2);
  EXPECT_GE(process_usage().cpu_seconds, before.cpu_seconds);
}

}  // namespace
}  // namespace megin
