#pragma once

#include <cstdint>
#include <span>

#include "nibble/tensor.hpp"

namespace nibble {

/// How codes become numbers: (code - zero point) * scale, where `group_size` columns of a row that follow each other share both.
struct CodeGrid {
  ElementType codes = ElementType::i4;    ///< i4, u4, i8, u8, nf4, f4e2m1, f8e4m3 or f8e5m2
  int64_t group_size = 0;                 ///< divides the columns
  bool has_zero_points = false;           ///< of the element type of the codes; without: zero
  ElementType scales = ElementType::f16;  ///< f16, f32 or f8e8m0: a type that holds them exactly
  bool operator==(const CodeGrid&) const = default;
};

/// A matrix that a checkpoint stores in codes, or that is computed from several tensors. Immutable and thread-safe. Rows are the outputs of
/// a layer and columns its inputs, also in families whose plain tensors are stored the other way round (GPT-2's Conv1D).
class EncodedMatrix {
 public:
  virtual ~EncodedMatrix() = default;

  /// [rows, columns]; a stack of matrices is [n, rows, columns] and counts as n * rows rows below.
  virtual const Shape& shape() const = 0;
  /// The narrowest of bf16, f16 and f32 that holds its values well: what it is stored as where it has to be floats.
  virtual ElementType float_type() const = 0;
  /// Columns [begin, begin + out.size()) of a row as numbers.
  virtual void read(int64_t row, int64_t begin, std::span<float> out) const = 0;
  /// Whole rows [first, first + count), one after the other: for some matrices faster than one by one.
  virtual void read_rows(int64_t first, int64_t count, std::span<float> out) const;

  /// The codes as OpenVINO can represent them, or nothing.
  virtual const CodeGrid* grid() const { return nullptr; }
  /// The grid's codes of a row, one per byte (bits of the type in the low half for 4 bits, two's complement), and per group its scale
  /// and its zero point (empty without them). Only with a grid.
  virtual void read_codes(int64_t row, std::span<uint8_t> codes, std::span<float> scales, std::span<uint8_t> zero_points) const;
  /// The same of rows [first, first + count), one after the other.
  virtual void read_code_rows(int64_t first, int64_t count, std::span<uint8_t> codes, std::span<float> scales,
                              std::span<uint8_t> zero_points) const;
  /// Column j of the grid's codes is column column_order()[j] of the matrix; empty: j itself.
  virtual std::span<const int32_t> column_order() const { return {}; }
};

}  // namespace nibble
