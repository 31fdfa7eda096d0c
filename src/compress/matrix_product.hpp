#pragma once

#include <cstddef>
#include <vector>

#include "base/thread_pool.hpp"

namespace nibble {

/// A matrix of floats somewhere in memory, in any order of rows and columns.
struct MatrixView {
  const float* data = nullptr;
  size_t rows = 0, columns = 0;
  size_t row_stride = 0, column_stride = 1;

  MatrixView transposed() const { return {data, columns, rows, column_stride, row_stride}; }
};

/// What of a product matters.
struct ProductPart {
  bool upper_only = false;  ///< of the result nothing below the diagonal is wanted: there anything may be written
  bool lower_only = false;  ///< nothing above it
  bool left_is_lower =
      false;  ///< the left matrix is lower triangular: what lies above its diagonal is not read beyond a block's end, and is 0
};

/// out += factor * a * b, where `out` has a.rows rows of b.columns floats, `stride` apart. In f32 with fused multiply-adds where the
/// machine has them; the result does not depend on the number of threads.
void multiply_add(const MatrixView& a, const MatrixView& b, float factor, float* out, size_t stride, ThreadPool& threads,
                  const ProductPart& part = {});

}  // namespace nibble
