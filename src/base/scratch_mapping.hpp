#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

namespace nibble {

/// Memory that a file without a name backs, so that the system can write it out when it needs the room. The space on the disk is taken at
/// once: writing to the memory cannot fail later. It goes back when this is destroyed or the process ends, however it ends.
class ScratchMapping {
 public:
  /// Throws Error{exhausted} when the disk is full, {invalid_argument} when no file can be made in `directory`.
  static std::unique_ptr<ScratchMapping> create(const std::filesystem::path& directory, size_t bytes);
  ~ScratchMapping();
  ScratchMapping(const ScratchMapping&) = delete;
  ScratchMapping& operator=(const ScratchMapping&) = delete;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  ScratchMapping() = default;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Where large files that nobody keeps go: $TMPDIR, else /var/tmp, which is on a disk where /tmp may be memory, else the system's.
std::filesystem::path scratch_directory();

}  // namespace nibble
