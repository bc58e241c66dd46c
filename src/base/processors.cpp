#include "base/processors.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace megin {
namespace fs = std::filesystem;
namespace {

using Quota = std::optional<double>;

Quota tighter(Quota a, Quota b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// Version 2: "max 100000" or "150000 100000".
Quota read_cpu_max(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(quota.data(), quota.data() + quota.size(), value);
  if (error != std::errc() || value <= 0) return {};
  return value / period;
}

// Version 1: two files; a quota of -1 is none.
Quota read_cfs_quota(const fs::path& group) {
  double quota = 0, period = 0;
  std::ifstream(group / "cpu.cfs_quota_us") >> quota;
  std::ifstream(group / "cpu.cfs_period_us") >> period;
  if (quota <= 0 || period <= 0) return {};
  return quota / period;
}

// The tightest quota of the group and of all above it. Groups of the outside that a container does not see
// simply do not exist here.
Quota quota_up_to_root(const fs::path& root, std::string_view group, Quota (*read)(const fs::path&)) {
  while (group.starts_with('/')) group.remove_prefix(1);
  Quota quota = read(root);
  for (fs::path path = root / group; path.native().size() > root.native().size() + 1;
       path = path.parent_path()) {
    quota = tighter(quota, read(path));
  }
  return quota;
}

bool has_cpu_controller(std::string_view controllers) {
  while (!controllers.empty()) {
    const size_t comma = controllers.find(',');
    if (controllers.substr(0, comma) == "cpu") return true;
    controllers.remove_prefix(comma == std::string_view::npos ? controllers.size() : comma + 1);
  }
  return false;
}

int affinity_processors() {
  // A mask of 1024 processors is too small on the largest machines: the call then fails and we ask for more.
  for (size_t processors = 1024; processors <= (1u << 18); processors *= 4) {
    std::vector<unsigned long> mask(processors / (8 * sizeof(unsigned long)));
    const size_t bytes = mask.size() * sizeof(unsigned long);
    if (sched_getaffinity(0, bytes, reinterpret_cast<cpu_set_t*>(mask.data())) == 0) {
      return std::max(1, CPU_COUNT_S(bytes, reinterpret_cast<cpu_set_t*>(mask.data())));
    }
  }
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

std::optional<double> cgroup_processor_quota(const fs::path& membership, const fs::path& root) {
  Quota quota;
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);) {  // "4:cpu,cpuacct:/user.slice" or "0::/user.slice"
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view all = line;
    const std::string_view controllers = all.substr(first + 1, second - first - 1);
    const std::string_view group = all.substr(second + 1);
    if (controllers.empty()) {
      quota = tighter(quota, quota_up_to_root(root, group, read_cpu_max));
      quota = tighter(quota, quota_up_to_root(root / "unified", group, read_cpu_max));
    } else if (has_cpu_controller(controllers)) {
      quota = tighter(quota, quota_up_to_root(root / controllers, group, read_cfs_quota));
      if (controllers != "cpu") quota = tighter(quota, quota_up_to_root(root / "cpu", group, read_cfs_quota));
    }
  }
  return quota;
}

int usable_processors() {
  const int allowed = affinity_processors();
  const Quota quota = cgroup_processor_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  if (!quota || *quota >= allowed) return allowed;
  return std::max(1, static_cast<int>(std::ceil(*quota)));
}

ProcessUsage process_usage() {
  ProcessUsage usage;
  rusage self{};
  getrusage(RUSAGE_SELF, &self);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  usage.cpu_seconds = seconds(self.ru_utime) + seconds(self.ru_stime);
  usage.minor_faults = self.ru_minflt;
  usage.peak_resident_bytes = self.ru_maxrss * 1024;  // Linux counts kibibytes
  int64_t pages_mapped = 0, pages_resident = 0;
  std::ifstream("/proc/self/statm") >> pages_mapped >> pages_resident;
  usage.resident_bytes = pages_resident * sysconf(_SC_PAGESIZE);
  // The kernel counts the two in different ways and may give a peak slightly below the present.
  usage.peak_resident_bytes = std::max(usage.peak_resident_bytes, usage.resident_bytes);
  return usage;
}

}  // namespace megin
