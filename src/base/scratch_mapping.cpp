#include "base/scratch_mapping.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include "base/fail.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// A new file that has no name any more.
int open_nameless(const fs::path& directory) {
  std::string name = (directory / "nibble-scratch-XXXXXX").string();
  int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0)
    fail(ErrorKind::invalid_argument, "{}: cannot make a temporary file: {}; set TMPDIR to a directory that can be written to",
         directory.string(), std::strerror(errno));
  ::unlink(name.c_str());
  return fd;
}

void reserve(int fd, const fs::path& directory, size_t bytes) {
  int code = EINTR;
  while (code == EINTR) code = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  if (code == 0) return;
  fail(ErrorKind::exhausted, "{}: no room for {} MB of temporary data: {}; free some space or set TMPDIR to another directory",
       directory.string(), bytes >> 20, std::strerror(code));
}

}  // namespace

std::unique_ptr<ScratchMapping> ScratchMapping::create(const fs::path& directory, size_t bytes) {
  Descriptor file{open_nameless(directory)};
  reserve(file.fd, directory, bytes);
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED)
    fail(ErrorKind::exhausted, "{}: cannot map {} MB of temporary data: {}", directory.string(), bytes >> 20, std::strerror(errno));
  std::unique_ptr<ScratchMapping> mapping(new ScratchMapping);
  mapping->data_ = static_cast<std::byte*>(data);
  mapping->size_ = bytes;
  return mapping;
}

ScratchMapping::~ScratchMapping() {
  if (data_) ::munmap(data_, size_);
}

fs::path scratch_directory() {
  const char* chosen = std::getenv("TMPDIR");
  if (chosen && *chosen) return chosen;
  std::error_code code;
  if (fs::is_directory("/var/tmp", code)) return "/var/tmp";
  return fs::temp_directory_path(code);
}

}  // namespace nibble
