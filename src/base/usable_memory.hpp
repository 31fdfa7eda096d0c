#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace nibble {

/// Bytes of memory that this process can still take: what the system has available, and no more than its control groups leave.
uint64_t usable_memory();

/// "MemAvailable" of a file in the format of /proc/meminfo, in bytes; nothing where it has none.
std::optional<double> available_memory(const std::filesystem::path& meminfo);
/// What the control groups leave, in bytes: the limit less what is used and cannot be given back (cached files can). Nothing where there is
/// no limit. Arguments as in smallest_cgroup_limit().
std::optional<double> cgroup_memory(const std::filesystem::path& proc_cgroup, const std::filesystem::path& root);

}  // namespace nibble
