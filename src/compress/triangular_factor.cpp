#include "compress/triangular_factor.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compress/matrix_product.hpp"

namespace nibble {

namespace {

constexpr size_t kBlock = 128;

/// A lower triangular block on the diagonal, in double.
struct DiagonalBlock {
  size_t size;
  std::vector<double> values;

  DiagonalBlock(const float* from, size_t n, size_t stride) : size(n), values(n * n, 0.0) {
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j <= i; ++j) values[i * n + j] = static_cast<double>(from[i * stride + j]);
  }
  double& at(size_t i, size_t j) { return values[i * size + j]; }

  bool factorize() {
    for (size_t j = 0; j < size; ++j) {
      for (size_t i = j; i < size; ++i) {
        double sum = at(i, j);
        for (size_t k = 0; k < j; ++k) sum -= at(i, k) * at(j, k);
        at(i, j) = sum;
      }
      double pivot = at(j, j);
      if (!(pivot > 0) || !std::isfinite(pivot)) return false;
      for (size_t i = j; i < size; ++i) at(i, j) /= std::sqrt(pivot);
    }
    return true;
  }

  void invert() {
    for (size_t j = 0; j < size; ++j) {
      at(j, j) = 1.0 / at(j, j);
      for (size_t i = j + 1; i < size; ++i) {
        double sum = 0;
        for (size_t k = j; k < i; ++k) sum += at(i, k) * at(k, j);
        at(i, j) = -sum / at(i, i);
      }
    }
  }

  void store(float* to, size_t stride) const {
    for (size_t i = 0; i < size; ++i)
      for (size_t j = 0; j <= i; ++j) to[i * stride + j] = static_cast<float>(values[i * size + j]);
  }

  std::vector<float> floats() const { return {values.begin(), values.end()}; }
};

/// A panel of rows taken out of a matrix, which gets zeros in its place.
std::vector<float> take_panel(float* from, size_t rows, size_t columns, size_t stride) {
  std::vector<float> panel(rows * columns);
  for (size_t i = 0; i < rows; ++i) {
    std::copy_n(from + i * stride, columns, panel.data() + i * columns);
    std::fill_n(from + i * stride, columns, 0.0f);
  }
  return panel;
}

/// Cholesky factor in the lower triangle.
bool factorize(float* m, size_t size, ThreadPool& threads) {
  for (size_t j = 0; j < size; j += kBlock) {
    size_t n = std::min(kBlock, size - j), rest = size - j - n;
    float* diagonal = m + j * size + j;
    DiagonalBlock block(diagonal, n, size);
    if (!block.factorize()) return false;
    block.store(diagonal, size);
    if (rest == 0) break;
    block.invert();
    std::vector<float> inverse = block.floats();
    float* below = diagonal + n * size;
    std::vector<float> panel = take_panel(below, rest, n, size);
    MatrixView left{below, rest, n, size};
    multiply_add({panel.data(), rest, n, n}, MatrixView{inverse.data(), n, n, n}.transposed(), 1, below, size, threads);
    multiply_add(left, left.transposed(), -1, below + n, size, threads, {.lower_only = true});
  }
  return true;
}

void clear_upper(float* m, size_t size) {
  for (size_t i = 0; i < size; ++i) std::fill(m + i * size + i + 1, m + (i + 1) * size, 0.0f);
}

/// Inverse of a lower triangular matrix, in place, from the last block of columns to the first.
void invert_lower(float* m, size_t size, ThreadPool& threads) {
  for (size_t j = (size - 1) / kBlock * kBlock + kBlock; j >= kBlock; j -= kBlock) {
    size_t first = j - kBlock, n = std::min(kBlock, size - first), rest = size - first - n;
    float* diagonal = m + first * size + first;
    DiagonalBlock block(diagonal, n, size);
    block.invert();
    block.store(diagonal, size);
    if (rest == 0) continue;
    std::vector<float> inverse = block.floats(), product(rest * n);
    float* below = diagonal + n * size;
    std::vector<float> panel = take_panel(below, rest, n, size);
    multiply_add({below + n, rest, rest, size}, {panel.data(), rest, n, n}, -1, product.data(), n, threads, {.left_is_lower = true});
    multiply_add({product.data(), rest, n, n}, {inverse.data(), n, n, n}, 1, below, size, threads);
  }
}

}  // namespace

bool factorize_inverse(std::span<float> matrix, size_t size, ThreadPool& threads) {
  if (size == 0) return true;
  // With rows and columns in reverse, H = L L^T becomes H = R R^T with an upper triangular R, whose inverse is U. Reversing all
  // elements does just that.
  std::reverse(matrix.begin(), matrix.end());
  if (!factorize(matrix.data(), size, threads)) return false;
  clear_upper(matrix.data(), size);
  invert_lower(matrix.data(), size, threads);
  std::reverse(matrix.begin(), matrix.end());
  return true;
}

}  // namespace nibble
