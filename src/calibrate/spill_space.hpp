#pragma once

#include <filesystem>
#include <memory>

#include "nibble/tensor.hpp"

namespace nibble {

/// Room on the disk for tensors that memory has no room for. Thread-safe. Tensors in it may outlive it.
class SpillSpace {
 public:
  explicit SpillSpace(std::filesystem::path directory);
  ~SpillSpace();

  /// A copy of the tensor, mapped from a file without a name; its place is free again when the last copy of the result is gone.
  /// Throws Error{exhausted} when the disk is full.
  Tensor keep(const Tensor& tensor);
  /// Bytes of the file in use.
  size_t used_bytes() const;

 private:
  class Blocks;
  std::shared_ptr<Blocks> blocks_;
};

}  // namespace nibble
