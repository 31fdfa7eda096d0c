#include "compress/weight_matrix.hpp"

#include <algorithm>

namespace nibble {

namespace {

constexpr size_t kLazyElements = size_t{4} << 20;

}  // namespace

std::optional<MatrixLayout> matrix_layout(const Shape& shape, const std::vector<size_t>& reduction_axes) {
  size_t rank = shape.size();
  if (reduction_axes.size() != 1 || rank == 0 || reduction_axes[0] + 2 < rank) return std::nullopt;
  MatrixLayout layout;
  layout.transposed = rank > 1 && reduction_axes[0] + 2 == rank;
  layout.columns = static_cast<size_t>(shape[reduction_axes[0]]);
  if (rank > 1) layout.rows = static_cast<size_t>(shape[layout.transposed ? rank - 1 : rank - 2]);
  for (size_t axis = 0; axis + 2 < rank; ++axis) layout.matrices *= static_cast<size_t>(shape[axis]);
  return layout;
}

MatrixRows::MatrixRows(const ConstantValue& weight, const MatrixLayout& layout, size_t matrix, size_t begin, size_t end)
    : layout_(layout),
      matrix_(matrix),
      begin_(begin),
      end_(end),
      reader_(weight, layout.element(matrix, layout.transposed ? 0 : begin, 0),
              layout.transposed ? layout.rows * layout.columns : (end - begin) * layout.columns) {}

void MatrixRows::read_row(size_t row, size_t first, std::span<float> out) const {
  if (!layout_.transposed) return reader_.read(layout_.element(matrix_, row, first), out);
  for (size_t c = 0; c < out.size(); ++c) reader_.read(layout_.element(matrix_, row, first + c), out.subspan(c, 1));
}

void MatrixRows::read_tile(size_t row, size_t first, size_t columns, float* tile) const {
  size_t rows = std::min(kTileRows, end_ - row);
  if (layout_.transposed) {
    if (rows < kTileRows) std::fill_n(tile, columns * kTileRows, 0.0f);
    for (size_t c = 0; c < columns; ++c) reader_.read(layout_.element(matrix_, row, first + c), {tile + c * kTileRows, rows});
    return;
  }
  std::vector<float> values(rows * columns);
  for (size_t r = 0; r < rows; ++r) reader_.read(layout_.element(matrix_, row + r, first), {values.data() + r * columns, columns});
  gather_tile(values.data(), columns, rows, columns, tile);
}

size_t rows_at_once(const ConstantValue& weight, const MatrixLayout& layout) {
  if (!weight.is_lazy() || layout.transposed) return layout.rows;
  return std::min(layout.rows, std::max(kTileRows, kLazyElements / layout.columns / kTileRows * kTileRows));
}

void gather_tile(const float* from, size_t stride, size_t rows, size_t columns, float* tile) {
  rows = std::min(rows, kTileRows);
  if (rows < kTileRows) std::fill_n(tile, columns * kTileRows, 0.0f);
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) tile[c * kTileRows + r] = from[r * stride + c];
}

void scatter_tile(const float* tile, size_t rows, size_t columns, float* to, size_t stride) {
  rows = std::min(rows, kTileRows);
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) to[r * stride + c] = tile[c * kTileRows + r];
}

}  // namespace nibble
