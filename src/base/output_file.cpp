#include "base/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <vector>

#include "base/disk.hpp"
#include "base/fail.hpp"
#include "base/usable_memory.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kWriteBehind = uint64_t{64} << 20;

fs::path temporary_name(const fs::path& target) {
  static std::atomic<unsigned> counter{0};
  fs::path name = target;
  name += fmt::format(".tmp-{}-{}", ::getpid(), counter++);
  return name;
}

}  // namespace

OutputFile::OutputFile(fs::path target) : target_(std::move(target)), temporary_(temporary_name(target_)) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno(target_, "create");
}

OutputFile::OutputFile(fs::path target, InPlace) : target_(std::move(target)) {
  fd_ = ::open(target_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno(target_, "open");
  struct stat info {};
  if (::fstat(fd_, &info) != 0) fail_errno(target_, "open");
  size_ = static_cast<uint64_t>(info.st_size);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::append(std::span<const std::byte> bytes) { write_at(size_, bytes); }

void OutputFile::append(std::string_view text) { append(std::as_bytes(std::span(text.data(), text.size()))); }

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t put = ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail_errno(target_, "write");
    done += static_cast<size_t>(put);
  }
  write_behind(bytes.size());
  // Concurrent writers only fill ranges that append() or a caller's plan has reserved, so the maximum needs no lock.
  std::atomic_ref<uint64_t> size(size_);
  uint64_t end = offset + bytes.size(), seen = size.load();
  while (seen < end && !size.compare_exchange_weak(seen, end)) {}
}

void OutputFile::write_behind(uint64_t bytes) {
  if (!writes_behind_) return;
  uint64_t before = std::atomic_ref<uint64_t>(written_).fetch_add(bytes);
  if (before / kWriteBehind == (before + bytes) / kWriteBehind) return;
#ifdef SYNC_FILE_RANGE_WRITE
  ::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
  if (drops_) ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
}

bool OutputFile::read_at(uint64_t offset, std::span<std::byte> bytes) const {
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t got = ::pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(target_, "read");
    if (got == 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

void OutputFile::truncate(uint64_t bytes) {
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail_errno(target_, "shorten");
  size_ = bytes;
}

void OutputFile::reserve(uint64_t bytes, uint64_t beside) {
  require_file_size_allowed(target_, bytes);
  writes_behind_ = true;
  drops_ = bytes > usable_memory() / 4;
  struct stat info {};
  if (::fstat(fd_, &info) != 0) fail_errno(target_, "open");
  uint64_t present = std::min(bytes, static_cast<uint64_t>(info.st_blocks) * 512);
  require_free_space(target_.has_parent_path() ? target_.parent_path() : ".", bytes - present + beside);
  if (static_cast<uint64_t>(info.st_size) > bytes) truncate(bytes);
  // Where the file system cannot take space in advance, writing does it.
  if (bytes > 0 && ::fallocate(fd_, 0, 0, static_cast<off_t>(bytes)) != 0 && errno != EOPNOTSUPP && errno != EINTR)
    fail_errno(target_, fmt::format("take the {:.1f} MB that are needed", static_cast<double>(bytes) / 1e6));
  size_ = bytes;
}

void OutputFile::reserve_in_large_pages(uint64_t bytes) {
  constexpr size_t kLargePage = size_t{2} << 20;
  const std::vector<std::byte> zeros(kLargePage);
  while (size_ < bytes) append(std::span(zeros).first(std::min<uint64_t>(kLargePage, bytes - size_)));
}

void OutputFile::commit() {
  if (::fsync(fd_) != 0) fail_errno(target_, "flush");
  commit_unflushed();
  sync_directory(target_.parent_path());
}

void OutputFile::commit_unflushed() {
  if (::close(fd_) != 0) {
    fd_ = -1;
    fail_errno(target_, "close");
  }
  fd_ = -1;
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_errno(target_, "rename");
  temporary_.clear();
}

void write_file(const fs::path& path, std::string_view text) {
  OutputFile file(path);
  file.append(text);
  file.commit();
}

}  // namespace nibble
