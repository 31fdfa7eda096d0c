#pragma once

#include <cstddef>
#include <vector>

#include "device/cpu/packed_format.hpp"

namespace nibble::cpu {

/// Sections start at multiples of this: a cache line, a register.
constexpr size_t kSectionAlignment = 64;

/// Where the sections of a matrix start in the block; those that are absent, where they would.
struct MatrixSections {
  size_t codes = 0, scales = 0, zero_points = 0, levels = 0;
};

/// Places packed matrices in one block of memory: in order, of each its codes, scales, zero points and levels, every section aligned.
/// Immutable.
class PackedLayout {
 public:
  PackedLayout() = default;
  /// Throws Error{corrupt} when the block would be larger than any file.
  explicit PackedLayout(std::vector<PackedFormat> formats);

  size_t bytes() const { return bytes_; }
  const std::vector<PackedFormat>& formats() const { return formats_; }
  const MatrixSections& sections(size_t matrix) const { return sections_[matrix]; }
  /// A view of a matrix in a block at `memory`.
  PackedMatrix matrix(size_t index, const std::byte* memory) const;

 private:
  size_t place(size_t bytes);

  std::vector<PackedFormat> formats_;
  std::vector<MatrixSections> sections_;
  size_t bytes_ = 0;
};

}  // namespace nibble::cpu
