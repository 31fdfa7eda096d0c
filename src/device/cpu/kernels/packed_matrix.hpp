#pragma once

#include <cstddef>
#include <cstdint>

namespace nibble::cpu {

/// Rows of a weight matrix that lie together, one per lane of a 512-bit register of 32-bit numbers.
constexpr size_t kPanelRows = 16;
/// Columns that lie together; also the columns that share a scale of the quantized activations.
constexpr size_t kChunk = 32;

/// What a code of a packed weight means.
enum class CodeType : uint8_t {
  u4,      ///< 4-bit integer
  u8,      ///< 8-bit integer
  level4,  ///< 4-bit index of a table of 16 floats (nf4, f4e2m1, codebooks)
  f8e4m3,  ///< without the NaN codes
  f16,
  bf16,
  f32,
};

enum class ScaleType : uint8_t { none, f16, f32 };

/// A matrix of weights [rows, columns] in the layout that every kernel reads, whatever the instruction set. A view; the memory is aligned
/// to 64 bytes. weight = (code - zero point) * scale for integers, value(code) * scale for the others.
///
/// Rows are cut in panels of 16, columns padded with zeros to a multiple of 32. Codes of a panel, by type:
/// - u4, level4: per chunk of 32 columns 4 vectors of 64 bytes; byte 4 r + i of vector j holds row r: column 8 j + i in the low nibble,
///   column 8 j + 4 + i in the high nibble (i = 0..3).
/// - u8, f8e4m3: per chunk of 32 columns 8 vectors of 64 bytes; byte 4 r + i of vector j holds row r, column 4 j + i.
/// - bf16: per pair of columns 16 pairs (row r: columns 2 j, 2 j + 1), 64 bytes.
/// - f16, f32: per column 16 rows.
/// Scales: [panel][group][16 rows]. Zero points likewise, one byte each. Padding rows have scale 0 (or codes 0 where there is no scale).
struct PackedMatrix {
  CodeType code_type = CodeType::f32;
  ScaleType scale_type = ScaleType::none;
  size_t rows = 0, columns = 0;  ///< as in the model
  size_t group_size = 0;         ///< columns that share a scale; padded_columns() for one scale per row
  const std::byte* codes = nullptr;
  const std::byte* scales = nullptr;     ///< float16 bits or float
  const uint8_t* zero_points = nullptr;  ///< integer codes only; nullptr: `zero_point` everywhere
  int zero_point = 0;
  const float* levels = nullptr;  ///< level4 only: 16 floats

  size_t padded_columns() const { return (columns + kChunk - 1) / kChunk * kChunk; }
  size_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  size_t groups() const { return (padded_columns() + group_size - 1) / group_size; }
  /// Bytes of codes that a panel takes.
  size_t panel_bytes() const { return padded_columns() * kPanelRows * code_bits() / 8; }
  size_t code_bits() const {
    switch (code_type) {
      case CodeType::u4:
      case CodeType::level4: return 4;
      case CodeType::u8:
      case CodeType::f8e4m3: return 8;
      case CodeType::f16:
      case CodeType::bf16: return 16;
      case CodeType::f32: return 32;
    }
    return 0;
  }
};

/// Where a product goes: row m of the result starts at data + m * stride.
struct GemmOutput {
  float* data = nullptr;
  size_t stride = 0;
  const float* bias = nullptr;  ///< per weight row, or nullptr
  bool accumulate = false;      ///< adds to what is there (a residual) instead of replacing it
};

/// A half-open range of panels or rows.
struct Range {
  size_t begin = 0, end = 0;
};

}  // namespace nibble::cpu
