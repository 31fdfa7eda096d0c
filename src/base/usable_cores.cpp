#include "base/usable_cores.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "base/cgroup.hpp"

namespace nibble {

namespace {

namespace fs = std::filesystem;
using Quota = std::optional<double>;

/// Both in microseconds; a quota that is no positive number ("max", -1) is none.
Quota quota_of(std::istream&& quota, std::istream&& period) {
  double time = 0, every = 0;
  if (!(quota >> time) || !(period >> every) || time <= 0 || every <= 0) return {};
  return time / every;
}

Quota quota_v2(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  std::string quota, period;
  file >> quota >> period;
  return quota_of(std::istringstream(quota), std::istringstream(period));
}

Quota quota_v1(const fs::path& group) {
  return quota_of(std::ifstream(group / "cpu.cfs_quota_us"), std::ifstream(group / "cpu.cfs_period_us"));
}

int cores_of_affinity() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const fs::path& proc_cgroup, const fs::path& root) {
  return smallest_cgroup_limit(proc_cgroup, root, "cpu", quota_v2, quota_v1);
}

int usable_cores() {
  int cores = cores_of_affinity();
  auto quota = cgroup_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  return quota ? static_cast<int>(std::clamp(std::ceil(*quota), 1.0, static_cast<double>(cores))) : cores;
}

}  // namespace nibble
