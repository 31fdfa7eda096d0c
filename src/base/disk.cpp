#include "base/disk.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/fail.hpp"

namespace nibble {

namespace {

double megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

}  // namespace

void fail_errno(const std::filesystem::path& path, std::string_view what) {
  int code = errno;
  bool full = code == ENOSPC || code == EDQUOT;
  std::string_view advice = full            ? "; free some space or choose another directory"
                            : code == EFBIG ? "; raise the limit (ulimit -f) or choose another directory"
                                            : "";
  fail(full || code == EFBIG ? ErrorKind::exhausted : ErrorKind::invalid_argument, "{}: cannot {}: {}{}", path.string(), what,
       std::strerror(code), advice);
}

void require_free_space(const std::filesystem::path& directory, uint64_t bytes) {
  std::error_code code;
  auto space = std::filesystem::space(directory, code);
  if (code || space.available >= bytes) return;
  fail(ErrorKind::exhausted, "{}: {:.1f} MB are needed and {:.1f} MB are free; free some space or choose another directory",
       directory.string(), megabytes(bytes), megabytes(space.available));
}

void require_file_size_allowed(const std::filesystem::path& path, uint64_t bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes) return;
  fail(ErrorKind::exhausted, "{}: {:.1f} MB are needed and this process may write files of {:.1f} MB; raise the limit (ulimit -f)",
       path.string(), megabytes(bytes), megabytes(limit.rlim_cur));
}

void sync_directory(const std::filesystem::path& directory) {
  int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace nibble
