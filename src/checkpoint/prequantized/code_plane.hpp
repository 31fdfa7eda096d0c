#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "nibble/tensor.hpp"

namespace nibble {

/// A rectangle of a matrix.
struct Window {
  int64_t row = 0, rows = 0, column = 0, columns = 0;
  int64_t size() const { return rows * columns; }
};

/// A matrix of numbers of up to 8 bits, laid out as some format stores codes or zero points. Immutable and thread-safe. The tensors that
/// the functions below take have been checked: they hold the matrix.
class CodePlane {
 public:
  virtual ~CodePlane() = default;
  /// The window's numbers, row after row, a byte each. `window.column` is even.
  virtual void read(const Window& window, std::span<uint8_t> out) const = 0;
};

/// How numbers lie in 32-bit words, from the lowest bit on.
struct WordPacking {
  int bits = 4;
  bool is_dense = true;  ///< they go on in the next word (3 bits: 32 in 3 words); else a word holds 32 / bits of them
};

/// Where the word `w` of line `l` lies: at word_step * w + line_step * l.
struct WordLayout {
  int64_t word_step = 1, line_step = 0;
};

/// Words that hold neighbours of a row; a line is a row.
std::unique_ptr<CodePlane> plane_packed_along_rows(Tensor words, WordPacking packing, WordLayout layout);

/// Words that hold neighbours of a column; a line is a column. `order`: row 8u + i of a unit is the number order[i] of its word (for 4
/// bits; others have no order).
using NibbleOrder = std::array<uint8_t, 8>;
inline constexpr NibbleOrder kInOrder{0, 1, 2, 3, 4, 5, 6, 7};
std::unique_ptr<CodePlane> plane_packed_along_columns(Tensor words, WordPacking packing, WordLayout layout,
                                                      const NibbleOrder& order = kInOrder);

/// Bytes in row-major order, each of them exclusive-ored with `flip` (0x80 makes signed numbers unsigned ones with an offset of 128).
std::unique_ptr<CodePlane> plane_of_bytes(Tensor bytes, int64_t columns, uint8_t flip = 0);

/// Two numbers in a byte in row-major order, of an even number of columns.
enum class FirstNibble { low, high };
std::unique_ptr<CodePlane> plane_of_nibbles(Tensor bytes, int64_t columns, FirstNibble first);

/// (numbers + addend) modulo 2^bits.
std::unique_ptr<CodePlane> plane_plus(std::unique_ptr<CodePlane> plane, uint8_t addend, int bits);

}  // namespace nibble
