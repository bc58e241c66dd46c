// What the machine lets this process use, and what the process has used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace megin {

// How many threads can really run at once: the smaller of the affinity mask and the processor quota of the
// control groups (v1 and v2, the tightest on the way to the root), rounded up; at least 1. The machine's
// count of processors is wrong in containers.
int usable_processors();

// The quota in processors (1.5 = 150 ms each 100 ms) of the groups that `membership` (/proc/self/cgroup)
// names below `root` (/sys/fs/cgroup); nothing where there is none. Separate for tests.
std::optional<double> cgroup_processor_quota(const std::filesystem::path& membership,
                                             const std::filesystem::path& root);

struct ProcessUsage {
  int64_t resident_bytes = 0;       // memory in use now
  int64_t peak_resident_bytes = 0;  // the most it ever was
  double cpu_seconds = 0;           // user and system, all threads
  int64_t minor_faults = 0;         // pages that the kernel mapped or cleared without reading a disk
};

ProcessUsage process_usage();

}  // namespace megin
