#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nibble/tensor.hpp"

namespace nibble {

/// Whether elements of these strides (in elements) lie in row-major order without gaps.
bool is_dense(const Shape& shape, std::span<const int64_t> strides);

/// The row-major copy of a tensor whose element i lies at the inner product of i and `strides` (in elements, not negative) in `source`.
/// The caller has checked that all elements lie in `source`. Whole-byte types only.
Tensor copy_strided(ElementType type, const Shape& shape, std::span<const int64_t> strides, std::span<const std::byte> source);

}  // namespace nibble
