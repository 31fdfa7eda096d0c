#pragma once

#include <cstddef>
#include <memory>

namespace nibble {

/// Zeroed memory of its own from the system, aligned to a page, in large pages where the system has them. A page becomes resident when it
/// is first touched.
class MemoryBlock {
 public:
  /// Throws Error{exhausted} when there is not enough.
  static std::shared_ptr<MemoryBlock> allocate(size_t bytes);
  ~MemoryBlock();
  MemoryBlock(const MemoryBlock&) = delete;
  MemoryBlock& operator=(const MemoryBlock&) = delete;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  MemoryBlock() = default;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace nibble
