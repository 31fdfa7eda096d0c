#include "base/output_file.hpp"

#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/disk.hpp"
#include "expect_error.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::fails;
using test::listing;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// A file system of its own of 1 MB, if this process may make one.
class SmallDisk {
 public:
  SmallDisk() { is_mounted_ = ::mount("none", scratch_.path().c_str(), "tmpfs", 0, "size=1m") == 0; }
  ~SmallDisk() {
    if (is_mounted_) ::umount(scratch_.path().c_str());
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  explicit operator bool() const { return is_mounted_; }
  const std::filesystem::path& path() const { return scratch_.path(); }

 private:
  test::ScratchDirectory scratch_;
  bool is_mounted_ = false;
};

/// Files of this process may not be larger, for a while.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

}  // namespace

TEST(OutputFiles, AppearWhole) {
  test::ScratchDirectory scratch;
  OutputFile file(scratch / "a");
  file.append("one ");
  file.append("two");
  EXPECT_FALSE(std::filesystem::exists(scratch / "a"));
  file.commit();
  EXPECT_EQ(test::file_text(scratch / "a"), "one two");
}

TEST(OutputFiles, GoWithoutCommit) {
  test::ScratchDirectory scratch;
  { OutputFile(scratch / "a").append("one"); }
  EXPECT_THAT(listing(scratch.path()), IsEmpty());
}

TEST(OutputFiles, InPlaceKeepWhatTheyHold) {
  test::ScratchDirectory scratch;
  test::write_text(scratch / "a", "one two");
  {
    OutputFile file(scratch / "a", OutputFile::InPlace{});
    EXPECT_EQ(file.size(), 7u);
    file.write_at(0, bytes_of("ONE"));
    std::string read(3, ' ');
    EXPECT_TRUE(file.read_at(4, std::as_writable_bytes(std::span(read))));
    EXPECT_EQ(read, "two");
    EXPECT_FALSE(file.read_at(5, std::as_writable_bytes(std::span(read))));
  }
  EXPECT_EQ(test::file_text(scratch / "a"), "ONE two");
}

TEST(OutputFiles, ReservingSetsTheSize) {
  test::ScratchDirectory scratch;
  test::write_text(scratch / "a", "one two");
  OutputFile file(scratch / "a", OutputFile::InPlace{});
  file.reserve(3);
  EXPECT_EQ(test::file_text(scratch / "a"), "one");
  file.reserve(5);
  EXPECT_EQ(test::file_text(scratch / "a"), std::string("one\0\0", 5));
}

TEST(OutputFiles, MoreThanTheDiskHoldsIsRefusedWithBothNumbers) {
  SmallDisk disk;
  if (!disk) GTEST_SKIP() << "may not mount";
  OutputFile file(disk.path() / "a");
  EXPECT_TRUE(fails(ErrorKind::exhausted, {"5.0 MB are needed", "1.0 MB are free"}, [&] { file.reserve(5'000'000); }));
  EXPECT_TRUE(fails(ErrorKind::exhausted, {"5.1 MB are needed"}, [&] { file.reserve(100'000, 5'000'000); }));
  EXPECT_NO_THROW(file.reserve(500'000));
  EXPECT_TRUE(
      fails(ErrorKind::exhausted, {"0.9 MB are needed", "0.5 MB are free"}, [&] { OutputFile(disk.path() / "b").reserve(900'000); }));
}

TEST(OutputFiles, WhatIsThereNeedNotBeFree) {
  SmallDisk disk;
  if (!disk) GTEST_SKIP() << "may not mount";
  OutputFile file(disk.path() / "a", OutputFile::InPlace{});
  file.reserve(700'000);
  EXPECT_NO_THROW(file.reserve(800'000));
}

TEST(OutputFiles, AFullDiskEndsInAnErrorAndLeavesNothing) {
  SmallDisk disk;
  if (!disk) GTEST_SKIP() << "may not mount";
  std::string text(2'000'000, 'x');
  EXPECT_TRUE(fails(ErrorKind::exhausted, {(disk.path() / "a").string(), "free some space"}, [&] { write_file(disk.path() / "a", text); }));
  EXPECT_THAT(listing(disk.path()), IsEmpty());
}

TEST(OutputFiles, MoreThanFilesMayHoldIsRefusedBeforeItIsTried) {
  test::ScratchDirectory scratch;
  OutputFile file(scratch / "a");
  FileSizeLimit limit(100'000);
  EXPECT_TRUE(fails(ErrorKind::exhausted, {"0.2 MB are needed", "ulimit"}, [&] { file.reserve(200'000); }));
  EXPECT_NO_THROW(file.reserve(100'000));
}

TEST(Disk, FreeSpaceIsComparedWithWhatIsNeeded) {
  test::ScratchDirectory scratch;
  EXPECT_NO_THROW(require_free_space(scratch.path(), 1));
  EXPECT_TRUE(fails(ErrorKind::exhausted, {scratch.path().string(), "are needed", "are free"},
                    [&] { require_free_space(scratch.path(), uint64_t{1} << 62); }));
}

}  // namespace nibble
