#pragma once

#include <filesystem>
#include <optional>

namespace nibble {

/// Cores this process can keep busy: those of its affinity mask, and no more than the CPU quota of its cgroup, rounded up; at least 1.
int usable_cores();

/// The CPU quota, in cores, of the cgroups that `proc_cgroup` (in the format of /proc/self/cgroup) names below the mount point `root`:
/// the smallest one of them and of their parents, of version 2 (cpu.max) or 1 (cpu.cfs_quota_us). Nothing where there is no limit.
std::optional<double> cgroup_cpu_quota(const std::filesystem::path& proc_cgroup, const std::filesystem::path& root);

}  // namespace nibble
