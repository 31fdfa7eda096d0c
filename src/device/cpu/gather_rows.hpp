#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "device/cpu/weight_matrix.hpp"

namespace nibble::cpu {

/// A table of embeddings that stays as the model holds it: rows are decompressed when they are looked up, as OpenVINO's CPU does. Immutable
/// and thread-safe.
class Embedding {
 public:
  /// Keeps the table's constants; those that are made on demand are made now. Throws Error{unsupported} for types that WeightMatrix does
  /// not list and Error{corrupt} where sizes do not agree.
  explicit Embedding(WeightMatrix table);
  ~Embedding();
  Embedding(Embedding&&) noexcept;
  Embedding& operator=(Embedding&&) noexcept;

  size_t rows() const;
  size_t columns() const;

  /// Writes columns() floats: (code - zero point) * scale, the product rounded once. Like Gather-8, a negative row counts from the end.
  /// Throws Error{invalid_argument} for a row that is not there.
  void lookup(int64_t row, float* out) const;

 private:
  class Table;
  std::unique_ptr<const Table> table_;
};

}  // namespace nibble::cpu
