#include "base/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fail.hpp"

namespace nibble {

namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

size_t open_regular(const std::filesystem::path& path, Descriptor& file) {
  file.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file.fd < 0) fail(ErrorKind::not_found, "{}: cannot open: {}", path.string(), std::strerror(errno));
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) fail(ErrorKind::not_found, "{}: {}", path.string(), std::strerror(errno));
  if (!S_ISREG(info.st_mode)) fail(ErrorKind::not_found, "{}: not a regular file", path.string());
  return static_cast<size_t>(info.st_size);
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path, bool large_pages) {
  Descriptor descriptor;
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = open_regular(path, descriptor);
  if (file->size_ == 0) return file;
  void* data = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, descriptor.fd, 0);
  if (data == MAP_FAILED) fail(ErrorKind::exhausted, "{}: cannot map {} bytes: {}", path.string(), file->size_, std::strerror(errno));
#ifdef MADV_HUGEPAGE
  if (large_pages) ::madvise(data, file->size_, MADV_HUGEPAGE);
#endif
  file->data_ = static_cast<const std::byte*>(data);
  return file;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> range, PageCache cache) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
  auto end = (reinterpret_cast<uintptr_t>(range.data()) + range.size()) / page * page;
  if (begin >= end) return;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  if (cache == PageCache::keep) return;
  Descriptor file{::open(path_.c_str(), O_RDONLY | O_CLOEXEC)};
  const auto offset = static_cast<off_t>(begin - reinterpret_cast<uintptr_t>(data_));
  if (file.fd >= 0) ::posix_fadvise(file.fd, offset, static_cast<off_t>(end - begin), POSIX_FADV_DONTNEED);
}

std::string read_file(const std::filesystem::path& path, size_t limit) {
  Descriptor file;
  size_t size = open_regular(path, file);
  if (size > limit) fail(ErrorKind::corrupt, "{}: {} bytes, more than the {} that such a file may have", path.string(), size, limit);
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t got = ::read(file.fd, text.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(ErrorKind::corrupt, "{}: cannot read: {}", path.string(), got < 0 ? std::strerror(errno) : "file got shorter");
    done += static_cast<size_t>(got);
  }
  return text;
}

}  // namespace nibble
