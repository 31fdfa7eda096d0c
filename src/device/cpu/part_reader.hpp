#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "device/cpu/kernels/packed_matrix.hpp"
#include "device/cpu/weight_matrix.hpp"

namespace nibble::cpu {

/// Elements of a constant: the i-th is element first + i of the packed data.
struct Elements {
  ElementType type = ElementType::dynamic;
  const std::byte* data = nullptr;
  size_t first = 0, count = 0;
};

/// Reads a slice of rows of the constants of a matrix. Values that are made on demand are made once for constants of the same
/// source (the codes, scales and zero points of a weight). For one thread; what it returns lives as long as the reader.
class PartReader {
 public:
  /// `rows` of the matrix; all of them when it is transposed.
  PartReader(const WeightMatrix& part, Range rows);

  /// [rows, columns], or for a transposed matrix [columns, all rows].
  Elements codes();
  /// [rows, groups], or one element for all.
  Elements scales() { return per_group(part_.scales); }
  Elements zero_points() { return per_group(part_.zero_points); }

 private:
  struct Produced;
  Elements per_group(const ConstantValue& value);
  Elements read(const ConstantValue& value, size_t first, size_t count);
  const Produced& produce(const std::shared_ptr<const ConstantSource>& source, size_t first_row, size_t end_row);

  const WeightMatrix& part_;
  Range rows_;
  struct Produced {
    std::shared_ptr<const ConstantSource> source;
    size_t begin = 0, end = 0;  ///< rows of the source
    std::vector<std::unique_ptr<std::byte[]>> outputs;
  };
  std::vector<std::unique_ptr<Produced>> produced_;
};

/// True when a value is there.
inline bool is_present(const ConstantValue& value) { return value.type() != ElementType::dynamic; }

/// The bytes of the view's elements [first, first + count); the codes of a row or the scales of a slice in their file.
std::span<const std::byte> bytes_of(const Elements& elements);

/// All elements as floats.
std::vector<float> to_floats(const Elements& elements);

}  // namespace nibble::cpu
