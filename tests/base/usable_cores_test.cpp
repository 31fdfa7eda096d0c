#include "base/usable_cores.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "scratch_directory.hpp"

namespace nibble {
namespace {

namespace fs = std::filesystem;

/// A process whose /proc/self/cgroup is `cgroup`, and a mount of cgroups to be filled.
class FakeCgroups {
 public:
  explicit FakeCgroups(std::string_view cgroup) { test::write_text(scratch_ / "cgroup", cgroup); }

  void write(const fs::path& file, std::string_view text) {
    fs::create_directories((root() / file).parent_path());
    test::write_text(root() / file, text);
  }

  std::optional<double> quota() const { return cgroup_cpu_quota(scratch_ / "cgroup", root()); }

 private:
  fs::path root() const { return scratch_ / "fs"; }
  test::ScratchDirectory scratch_;
};

TEST(CgroupCpuQuota, ReadsTheOwnGroupOfVersion2) {
  FakeCgroups groups("0::/a/b\n");
  groups.write("a/b/cpu.max", "150000 100000\n");
  EXPECT_EQ(groups.quota(), 1.5);
}

TEST(CgroupCpuQuota, AParentMayAllowLessThanTheGroup) {
  FakeCgroups groups("0::/a/b/c\n");
  groups.write("a/cpu.max", "250000 100000\n");
  groups.write("a/b/c/cpu.max", "400000 100000\n");
  EXPECT_EQ(groups.quota(), 2.5);
}

TEST(CgroupCpuQuota, ParentsWithoutLimitDoNotCount) {
  FakeCgroups groups("0::/a/b\n");
  groups.write("a/cpu.max", "max 100000\n");
  groups.write("a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(groups.quota(), 0.5);
}

TEST(CgroupCpuQuota, ThereMayBeNoLimit) {
  FakeCgroups groups("0::/a\n");
  groups.write("a/cpu.max", "max 100000\n");
  EXPECT_EQ(groups.quota(), std::nullopt);
}

TEST(CgroupCpuQuota, AContainerSeesItsOwnGroupAsTheMount) {
  FakeCgroups groups("0::/system.slice/docker-1234.scope\n");
  groups.write("cpu.max", "300000 100000\n");
  EXPECT_EQ(groups.quota(), 3);
}

TEST(CgroupCpuQuota, PathsOutsideTheNamespaceStayBelowTheMount) {
  FakeCgroups groups("0::/../../a\n");
  groups.write("a/cpu.max", "200000 100000\n");
  EXPECT_EQ(groups.quota(), 2);
}

TEST(CgroupCpuQuota, ReadsVersion1WhereSeveralControllersShareAHierarchy) {
  FakeCgroups groups("5:memory:/m\n4:cpu,cpuacct:/a/b\n");
  groups.write("cpu,cpuacct/a/cpu.cfs_quota_us", "800000\n");
  groups.write("cpu,cpuacct/a/cpu.cfs_period_us", "200000\n");
  EXPECT_EQ(groups.quota(), 4);
}

TEST(CgroupCpuQuota, ReadsVersion1MountedUnderTheShortName) {
  FakeCgroups groups("4:cpuacct,cpu:/a\n");
  groups.write("cpu/a/cpu.cfs_quota_us", "300000\n");
  groups.write("cpu/a/cpu.cfs_period_us", "200000\n");
  EXPECT_EQ(groups.quota(), 1.5);
}

TEST(CgroupCpuQuota, AQuotaOfMinusOneIsNoLimit) {
  FakeCgroups groups("1:cpu:/\n");
  groups.write("cpu/cpu.cfs_quota_us", "-1\n");
  groups.write("cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(groups.quota(), std::nullopt);
}

TEST(CgroupCpuQuota, OtherControllersAreNotTheCpu) {
  FakeCgroups groups("3:cpuset,cpuacct:/a\n");
  groups.write("cpu/a/cpu.cfs_quota_us", "100000\n");
  groups.write("cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(groups.quota(), std::nullopt);
}

TEST(CgroupCpuQuota, BothVersionsMayLimit) {
  FakeCgroups groups("1:cpu:/a\n0::/a\n");
  groups.write("cpu/a/cpu.cfs_quota_us", "300000\n");
  groups.write("cpu/a/cpu.cfs_period_us", "100000\n");
  groups.write("a/cpu.max", "200000 100000\n");
  EXPECT_EQ(groups.quota(), 2);
}

TEST(CgroupCpuQuota, NonsenseIsNoLimit) {
  for (const char* text : {"", "100000", "x y", "100000 0", "0 100000", "-5 100000", "100000 -1"}) {
    FakeCgroups groups("nonsense\n::\n0::/a\n");
    groups.write("a/cpu.max", text);
    EXPECT_EQ(groups.quota(), std::nullopt) << text;
  }
}

TEST(CgroupCpuQuota, WithoutCgroupsThereIsNoLimit) {
  test::ScratchDirectory scratch;
  EXPECT_EQ(cgroup_cpu_quota(scratch / "none", scratch.path()), std::nullopt);
}

TEST(UsableCores, FollowsTheAffinityOfTheThread) {
  int cores = 0;
  std::thread([&] {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    int first = 0;
    while (!CPU_ISSET(first, &set)) ++first;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    ASSERT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
    cores = usable_cores();
  }).join();
  EXPECT_EQ(cores, 1);
}

TEST(UsableCores, IsWithinTheMachine) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace nibble
