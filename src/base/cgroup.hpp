#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace nibble {

/// What the directory of a control group says of a limit; nothing where it has none.
using CgroupLimit = std::optional<double> (*)(const std::filesystem::path& group);

/// The smallest limit of the control groups that `proc_cgroup` (in the format of /proc/self/cgroup) names below the mount point `root`,
/// and of their parents; read as version 2 or, in the hierarchy of `controller` ("cpu"), as version 1 has it.
std::optional<double> smallest_cgroup_limit(const std::filesystem::path& proc_cgroup, const std::filesystem::path& root,
                                            std::string_view controller, CgroupLimit version_2, CgroupLimit version_1);

}  // namespace nibble
