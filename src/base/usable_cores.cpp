#include "base/usable_cores.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace nibble {

namespace {

namespace fs = std::filesystem;
using Quota = std::optional<double>;

Quota smaller(Quota a, Quota b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

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

/// Over the group and its parents up to the mount point. In a container the path may be the host's: what does not exist is passed over,
/// and the container's own group is the mount point.
Quota smallest(const fs::path& mount, const std::string& group, Quota (*read)(const fs::path&)) {
  Quota least = read(mount);
  fs::path at = mount;
  for (const auto& name : fs::path(group).lexically_normal().relative_path()) {
    if (name == "..") continue;  // outside this cgroup namespace
    at /= name;
    least = smaller(least, read(at));
  }
  return least;
}

bool has_cpu(const std::string& controllers) { return ("," + controllers + ",").find(",cpu,") != std::string::npos; }

/// One line of /proc/self/cgroup is "hierarchy:controllers:group"; version 2 is hierarchy 0 without controllers.
Quota quota_of_line(const std::string& line, const fs::path& root) {
  auto first = line.find(':'), second = line.find(':', first + 1);
  if (first == std::string::npos || second == std::string::npos) return {};
  std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
  if (controllers.empty()) return smallest(root, group, quota_v2);
  if (!has_cpu(controllers)) return {};
  return smaller(smallest(root / controllers, group, quota_v1), smallest(root / "cpu", group, quota_v1));
}

int cores_of_affinity() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const fs::path& proc_cgroup, const fs::path& root) {
  Quota least;
  std::ifstream file(proc_cgroup);
  for (std::string line; std::getline(file, line);) least = smaller(least, quota_of_line(line, root));
  return least;
}

int usable_cores() {
  int cores = cores_of_affinity();
  auto quota = cgroup_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  return quota ? static_cast<int>(std::clamp(std::ceil(*quota), 1.0, static_cast<double>(cores))) : cores;
}

}  // namespace nibble
