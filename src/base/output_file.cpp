#include "base/output_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/fail.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail_errno(const fs::path& path, std::string_view what) {
  int code = errno;
  bool full = code == ENOSPC || code == EDQUOT;
  fail(full ? ErrorKind::exhausted : ErrorKind::invalid_argument, "{}: cannot {}: {}{}", path.string(), what, std::strerror(code),
       full ? "; free some space or choose another directory" : "");
}

fs::path temporary_name(const fs::path& target) {
  static std::atomic<unsigned> counter{0};
  fs::path name = target;
  name += fmt::format(".tmp-{}-{}", ::getpid(), counter++);
  return name;
}

/// Makes a rename in `directory` durable; file systems that cannot are left alone.
void sync_directory(const fs::path& directory) {
  int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

/// The directories above `path` that are not there, nearest first.
std::vector<fs::path> missing_parents(const fs::path& path) {
  std::vector<fs::path> missing;
  std::error_code code;
  for (fs::path parent = path.parent_path(); !parent.empty() && !fs::exists(parent, code); parent = parent.parent_path())
    missing.push_back(parent);
  return missing;
}

fs::path without_trailing_slash(fs::path path) { return path.has_filename() ? path : path.parent_path(); }

}  // namespace

OutputFile::OutputFile(fs::path target) : target_(std::move(target)), temporary_(temporary_name(target_)) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno(target_, "create");
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
  // Concurrent writers only fill ranges that append() or a caller's plan has reserved, so the maximum needs no lock.
  std::atomic_ref<uint64_t> size(size_);
  uint64_t end = offset + bytes.size(), seen = size.load();
  while (seen < end && !size.compare_exchange_weak(seen, end)) {}
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
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_errno(target_, "rename");
  temporary_.clear();
}

void write_file(const fs::path& path, std::string_view text) {
  OutputFile file(path);
  file.append(text);
  file.commit();
}

OutputDirectory::OutputDirectory(fs::path target) : target_(without_trailing_slash(std::move(target))) {
  std::error_code code;
  if (fs::exists(fs::symlink_status(target_, code)) && !(fs::is_directory(target_, code) && fs::is_empty(target_, code)))
    fail(ErrorKind::invalid_argument, "{}: exists already and is left untouched; choose another output directory or remove it first",
         target_.string());
  if (target_.has_parent_path()) {
    made_parents_ = missing_parents(target_);
    fs::create_directories(target_.parent_path(), code);
    if (code) fail(ErrorKind::invalid_argument, "{}: cannot create: {}", target_.parent_path().string(), code.message());
  }
  temporary_ = temporary_name(target_);
  fs::create_directory(temporary_, code);
  if (code) fail(ErrorKind::invalid_argument, "{}: cannot create: {}", target_.string(), code.message());
}

OutputDirectory::~OutputDirectory() {
  std::error_code ignored;
  if (committed_) return;
  fs::remove_all(temporary_, ignored);
  for (const auto& parent : made_parents_)
    if (!fs::remove(parent, ignored)) return;  // somebody else uses it by now
}

void OutputDirectory::commit() {
  sync_directory(temporary_);
  // rename replaces an empty directory and fails on anything else that appeared meanwhile.
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_errno(target_, "rename");
  committed_ = true;
  sync_directory(target_.parent_path());
}

void require_free_space(const fs::path& directory, uint64_t bytes) {
  std::error_code code;
  auto space = fs::space(directory, code);
  if (code || space.available >= bytes) return;
  fail(ErrorKind::exhausted, "{}: {:.1f} MB are needed and {:.1f} MB are free; free some space or choose another directory",
       directory.string(), static_cast<double>(bytes) / 1e6, static_cast<double>(space.available) / 1e6);
}

}  // namespace nibble
