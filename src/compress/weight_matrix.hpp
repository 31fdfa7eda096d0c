#pragma once

#include <optional>
#include <vector>

#include "compress/group_reader.hpp"
#include "compress/tile_kernels.hpp"
#include "graph/constant.hpp"

namespace nibble {

/// A MatMul's weight as matrices [rows, columns] with the columns summed over: one, or one per expert (or other leading axes).
struct MatrixLayout {
  size_t matrices = 1, rows = 1, columns = 1;
  bool transposed = false;  ///< stored as [columns, rows]

  /// Of an element in the constant's own order.
  size_t element(size_t matrix, size_t row, size_t column) const {
    return matrix * rows * columns + (transposed ? column * rows + row : row * columns + column);
  }
  /// Of a group of `groups` per row in the order of WeightLayout.
  size_t group(size_t matrix, size_t row, size_t index, size_t groups) const {
    return matrix * rows * groups + (transposed ? index * rows + row : row * groups + index);
  }
};

/// Nothing where more or other axes than one of the last two are summed over.
std::optional<MatrixLayout> matrix_layout(const Shape& shape, const std::vector<size_t>& reduction_axes);

/// Rows [begin, end) of one matrix as f32: what is lazy is produced once, at construction. Immutable afterwards; thread-safe.
class MatrixRows {
 public:
  MatrixRows(const ConstantValue& weight, const MatrixLayout& layout, size_t matrix, size_t begin, size_t end);

  size_t begin() const { return begin_; }
  size_t end() const { return end_; }
  /// Columns [first, first + out.size()) of one row.
  void read_row(size_t row, size_t first, std::span<float> out) const;
  /// Columns [first, first + columns) of kTileRows rows from `row` on as a tile; rows from end() on are zeros.
  void read_tile(size_t row, size_t first, size_t columns, float* tile) const;

 private:
  MatrixLayout layout_;
  size_t matrix_, begin_, end_;
  WeightReader reader_;
};

/// Into what parts a matrix is best read: all of it where it lies in memory, else as many rows as a few million elements (a multiple of
/// kTileRows); a transposed lazy one has to be made whole.
size_t rows_at_once(const ConstantValue& weight, const MatrixLayout& layout);

/// Cuts kTileRows x columns floats out of a row-major matrix (rows `stride` floats apart); rows beyond `rows` become zeros.
void gather_tile(const float* from, size_t stride, size_t rows, size_t columns, float* tile);
/// The other way round.
void scatter_tile(const float* tile, size_t rows, size_t columns, float* to, size_t stride);

}  // namespace nibble
