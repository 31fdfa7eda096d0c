#include "base/memory_block.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/fail.hpp"

namespace nibble {

std::shared_ptr<MemoryBlock> MemoryBlock::allocate(size_t bytes) {
  std::shared_ptr<MemoryBlock> block(new MemoryBlock);
  if (bytes == 0) return block;
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    fail(ErrorKind::exhausted, "cannot allocate {:.1f} MB: {}", static_cast<double>(bytes) / 1e6, std::strerror(errno));
#ifdef MADV_HUGEPAGE
  ::madvise(data, bytes, MADV_HUGEPAGE);
#endif
  block->data_ = static_cast<std::byte*>(data);
  block->size_ = bytes;
  return block;
}

MemoryBlock::~MemoryBlock() {
  if (data_) ::munmap(data_, size_);
}

}  // namespace nibble
