#include "base/usable_memory.hpp"

#include <gtest/gtest.h>

#include "scratch_directory.hpp"

namespace nibble {
namespace {

namespace fs = std::filesystem;

TEST(UsableMemory, IsWhatTheSystemHasAvailable) {
  test::ScratchDirectory scratch;
  test::write_text(scratch / "meminfo", "MemTotal:       16000000 kB\nMemFree:          500000 kB\nMemAvailable:    8000000 kB\n");
  EXPECT_EQ(available_memory(scratch / "meminfo"), 8000000.0 * 1024);
}

TEST(UsableMemory, AGroupLeavesItsLimitLessWhatCannotBeGivenBack) {
  test::ScratchDirectory scratch;
  test::write_text(scratch / "cgroup", "0::/a\n");
  fs::create_directories(scratch / "fs/a");
  test::write_text(scratch / "fs/a/memory.max", "1000\n");
  test::write_text(scratch / "fs/a/memory.current", "700\n");
  test::write_text(scratch / "fs/a/memory.stat", "anon 300\nfile 400\ninactive_file 250\nactive_file 150\n");
  EXPECT_EQ(cgroup_memory(scratch / "cgroup", scratch / "fs"), 1000 - (700 - 250));
}

TEST(UsableMemory, AGroupWithoutLimitLeavesEverything) {
  test::ScratchDirectory scratch;
  test::write_text(scratch / "cgroup", "0::/a\n");
  fs::create_directories(scratch / "fs/a");
  test::write_text(scratch / "fs/a/memory.max", "max\n");
  test::write_text(scratch / "fs/a/memory.current", "700\n");
  EXPECT_EQ(cgroup_memory(scratch / "cgroup", scratch / "fs"), std::nullopt);
}

TEST(UsableMemory, ReadsGroupsOfVersion1) {
  test::ScratchDirectory scratch;
  test::write_text(scratch / "cgroup", "5:memory:/box\n");
  fs::create_directories(scratch / "fs/memory/box");
  test::write_text(scratch / "fs/memory/box/memory.limit_in_bytes", "2000\n");
  test::write_text(scratch / "fs/memory/box/memory.usage_in_bytes", "500\n");
  EXPECT_EQ(cgroup_memory(scratch / "cgroup", scratch / "fs"), 1500.0);
}

TEST(UsableMemory, ThisMachineHasSome) { EXPECT_GT(usable_memory(), 1u << 20); }

}  // namespace
}  // namespace nibble
