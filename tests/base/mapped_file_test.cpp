#include "base/mapped_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "scratch_directory.hpp"

namespace nibble {
namespace {

constexpr size_t kBytes = size_t{1} << 20;

class MappedFilePages : public testing::Test {
 protected:
  void SetUp() override {
    struct statfs system {};
    ASSERT_EQ(::statfs(directory_.path().c_str(), &system), 0);
    if (system.f_type == TMPFS_MAGIC) GTEST_SKIP() << "files in memory have no page cache to leave";
    test::write_text(directory_ / "file", std::string(kBytes, 'x'));
    int fd = ::open((directory_ / "file").c_str(), O_RDONLY);
    ASSERT_EQ(::fsync(fd), 0);  // pages that are not on the disk yet cannot be dropped
    ::close(fd);
    file_ = MappedFile::open(directory_ / "file");
    ASSERT_EQ(std::count(file_->bytes().begin(), file_->bytes().end(), std::byte{'x'}), static_cast<std::ptrdiff_t>(kBytes));
  }

  size_t cached_pages() const {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> state((kBytes + page - 1) / page);
    EXPECT_EQ(::mincore(const_cast<std::byte*>(file_->bytes().data()), kBytes, state.data()), 0);
    return static_cast<size_t>(std::count_if(state.begin(), state.end(), [](unsigned char s) { return s & 1; }));
  }

  test::ScratchDirectory directory_;
  std::shared_ptr<const MappedFile> file_;
};

TEST_F(MappedFilePages, StayInThePageCacheWhenReleased) {
  size_t before = cached_pages();
  file_->release(file_->bytes());
  EXPECT_EQ(cached_pages(), before);
}

TEST_F(MappedFilePages, LeaveThePageCacheWhenDropped) {
  file_->release(file_->bytes(), PageCache::drop);
  EXPECT_EQ(cached_pages(), 0u);
  EXPECT_EQ(file_->bytes()[kBytes - 1], std::byte{'x'});
}

}  // namespace
}  // namespace nibble
