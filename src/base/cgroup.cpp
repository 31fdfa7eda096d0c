#include "base/cgroup.hpp"

#include <algorithm>
#include <fstream>
#include <string>

namespace nibble {

namespace {

namespace fs = std::filesystem;
using Limit = std::optional<double>;

Limit smaller(Limit a, Limit b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

/// Over the group and its parents up to the mount point. In a container the path may be the host's: what does not exist is passed over,
/// and the container's own group is the mount point.
Limit smallest(const fs::path& mount, const std::string& group, CgroupLimit read) {
  Limit least = read(mount);
  fs::path at = mount;
  for (const auto& name : fs::path(group).lexically_normal().relative_path()) {
    if (name == "..") continue;  // outside this cgroup namespace
    at /= name;
    least = smaller(least, read(at));
  }
  return least;
}

bool has(const std::string& controllers, std::string_view controller) {
  return ("," + controllers + ",").find("," + std::string(controller) + ",") != std::string::npos;
}

}  // namespace

std::optional<double> smallest_cgroup_limit(const fs::path& proc_cgroup, const fs::path& root, std::string_view controller,
                                            CgroupLimit version_2, CgroupLimit version_1) {
  Limit least;
  std::ifstream file(proc_cgroup);
  // "hierarchy:controllers:group"; version 2 is hierarchy 0 without controllers.
  for (std::string line; std::getline(file, line);) {
    auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty()) {
      least = smaller(least, smallest(root, group, version_2));
    } else if (has(controllers, controller)) {
      least = smaller(least, smallest(root / controllers, group, version_1));
      if (controllers != controller) least = smaller(least, smallest(root / controller, group, version_1));
    }
  }
  return least;
}

}  // namespace nibble
