#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace nibble {

/// What becomes of the system's copy of file pages that this process has done with.
enum class PageCache {
  keep,  ///< stays as long as there is room, for whoever reads the file next
  drop,  ///< makes room at once: for files so large that keeping them would push out everything else
};

/// A file mapped read-only. Immutable and thread-safe; the mapping lives as long as the last shared_ptr.
/// A file that is truncated by someone else while mapped raises SIGBUS on access, as with any mapping.
class MappedFile {
 public:
  /// Throws Error{not_found} where there is no such regular file. `large_pages`: asks the system to read it into large pages, for a file
  /// that is read over and over.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path, bool large_pages = false);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Tells the system that this process will not read these bytes again soon, so their pages need not stay resident.
  void release(std::span<const std::byte> range, PageCache cache = PageCache::keep) const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// A whole (small) file; throws Error{not_found} or, beyond `limit` bytes, Error{corrupt}.
std::string read_file(const std::filesystem::path& path, size_t limit = size_t{1} << 30);

}  // namespace nibble
