#pragma once

#include <memory>

#include "checkpoint/encoded_matrix.hpp"

namespace nibble {

/// A matrix of floats in its file. `is_transposed`: rows of the matrix are columns of the tensor.
struct StoredMatrix {
  Tensor tensor;
  bool is_transposed = false;

  int64_t rows() const { return tensor.shape()[is_transposed ? 1 : 0]; }
  int64_t columns() const { return tensor.shape()[is_transposed ? 0 : 1]; }
  void read(int64_t row, int64_t begin, std::span<float> out) const;
};

/// W + scale * B A, or with a magnitude m for each row that divided by the row's length and times m (DoRA).
struct AdaptedParts {
  StoredMatrix weight;                           ///< W, unless `encoded` is it
  std::shared_ptr<const EncodedMatrix> encoded;  ///< may be nullptr
  StoredMatrix b, a;                             ///< [rows, rank] and [rank, columns]
  float scale = 1;
  Tensor magnitude;  ///< [rows]; none: no DoRA
};

/// The sum, computed as its rows are read. The parts have been checked against each other.
std::shared_ptr<const EncodedMatrix> make_adapted_matrix(AdaptedParts parts);

}  // namespace nibble
