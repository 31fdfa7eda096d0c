#include "base/usable_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "base/cgroup.hpp"

namespace nibble {

namespace {

namespace fs = std::filesystem;
using Bytes = std::optional<double>;

Bytes number_in(const fs::path& path) {
  std::ifstream file(path);
  double number = 0;
  return file >> number ? Bytes(number) : std::nullopt;
}

/// The number after `key` at the start of a line.
Bytes value_of(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  std::string name;
  double number = 0;
  for (std::string line; file >> name >> number; std::getline(file, line))
    if (name == key) return number;
  return {};
}

Bytes left(Bytes limit, Bytes used, Bytes cached) {
  if (!limit || !used) return {};
  return std::max(0.0, *limit - std::max(0.0, *used - cached.value_or(0)));
}

Bytes left_v2(const fs::path& group) {
  return left(number_in(group / "memory.max"), number_in(group / "memory.current"), value_of(group / "memory.stat", "inactive_file"));
}

Bytes left_v1(const fs::path& group) {
  return left(number_in(group / "memory.limit_in_bytes"), number_in(group / "memory.usage_in_bytes"),
              value_of(group / "memory.stat", "total_inactive_file"));
}

}  // namespace

std::optional<double> available_memory(const fs::path& meminfo) {
  Bytes kilobytes = value_of(meminfo, "MemAvailable:");
  return kilobytes ? Bytes(*kilobytes * 1024) : std::nullopt;
}

std::optional<double> cgroup_memory(const fs::path& proc_cgroup, const fs::path& root) {
  return smallest_cgroup_limit(proc_cgroup, root, "memory", left_v2, left_v1);
}

uint64_t usable_memory() {
  double bytes = available_memory("/proc/meminfo").value_or(std::numeric_limits<int64_t>::max());
  return static_cast<uint64_t>(std::min(bytes, cgroup_memory("/proc/self/cgroup", "/sys/fs/cgroup").value_or(bytes)));
}

}  // namespace nibble
