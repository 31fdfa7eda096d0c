#include "device/cpu/code_rows.hpp"

#include <array>
#include <cstring>

#include "base/vector_clones.hpp"
#include "device/cpu/packed_format.hpp"
#include "tensor/float_types.hpp"

namespace nibble::cpu {

namespace {

size_t code_bits(CodeType type) {
  PackedMatrix matrix;
  matrix.code_type = type;
  return matrix.code_bits();
}

/// The bytes of a row that may start in the middle of one, and half a byte more at its end cleared.
void copy_nibbles(const Elements& row, std::byte* out) {
  size_t bytes = (row.count + 1) / 2;
  const std::byte* source = row.data + row.first / 2;
  if (row.first % 2 == 0) {
    std::memcpy(out, source, bytes);
  } else {
    for (size_t i = 0; i < row.count / 2; ++i) out[i] = source[i] >> 4 | source[i + 1] << 4;
    if (row.count % 2) out[bytes - 1] = source[bytes - 1] >> 4;
  }
  if (row.count % 2) out[bytes - 1] &= std::byte{0x0f};
}

/// Two's complement to offset binary: the sign bit of every code flips. `mask` has the sign bits of a byte.
void flip_signs(std::byte* codes, size_t bytes, std::byte mask) {
  for (size_t i = 0; i < bytes; ++i) codes[i] ^= mask;
}

/// Within 32 bits, eight columns 0 .. 7 become 0 4 1 5 2 6 3 7: columns 0 .. 3 in the low nibbles of four bytes.
void split_nibbles(std::byte* codes, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 4) {
    uint32_t x;
    std::memcpy(&x, codes + i, 4);
    uint32_t t = (x ^ x >> 8) & 0x0000ff00u;
    x ^= t ^ t << 8;
    t = (x ^ x >> 4) & 0x00f000f0u;
    x ^= t ^ t << 4;
    std::memcpy(codes + i, &x, 4);
  }
}

void convert_nibbles(const Elements& row, size_t padded_columns, std::byte* out) {
  copy_nibbles(row, out);
  if (row.type == ElementType::i4) {
    flip_signs(out, row.count / 2, std::byte{0x88});
    if (row.count % 2) out[row.count / 2] ^= std::byte{0x08};
  }
  split_nibbles(out, padded_columns / 2);
}

void convert_bytes(const Elements& row, std::byte* out) {
  std::memcpy(out, row.data + row.first, row.count);
  if (row.type == ElementType::i8) flip_signs(out, row.count, std::byte{0x80});
}

/// out[i] = convert(in[i]), at any alignment.
template <class From, class To, class Convert>
inline void convert_each(const std::byte* in, size_t count, std::byte* out, Convert convert) {
  for (size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, in + i * sizeof(From), sizeof(From));
    To converted = convert(value);
    std::memcpy(out + i * sizeof(To), &converted, sizeof(To));
  }
}

std::array<float16, 256> make_f8_table() {
  std::array<float16, 256> table;
  for (size_t code = 0; code < 256; ++code) table[code] = to_float16(f8e4m3_to_float(static_cast<uint8_t>(code)));
  return table;
}

void f8_to_f16(const std::byte* in, size_t count, std::byte* out) {
  static const std::array<float16, 256> table = make_f8_table();
  convert_each<uint8_t, float16>(in, count, out, [](uint8_t code) { return table[code]; });
}

NIBBLE_VECTOR_CLONES void f16_to_bf16(const std::byte* in, size_t count, std::byte* out) {
  convert_each<float16, bfloat16>(in, count, out, [](float16 value) { return to_bfloat16(to_float(value)); });
}

NIBBLE_VECTOR_CLONES void f32_to_bf16(const std::byte* in, size_t count, std::byte* out) {
  convert_each<float, bfloat16>(in, count, out, [](float value) { return to_bfloat16(value); });
}

/// The same type, or a conversion between types of whole bytes.
void convert_floats(const Elements& row, CodeType type, std::byte* out) {
  std::span<const std::byte> in = bytes_of(row);
  if (type == CodeType::f16 && row.type == ElementType::f8e4m3) return f8_to_f16(in.data(), row.count, out);
  if (type == CodeType::bf16 && row.type == ElementType::f16) return f16_to_bf16(in.data(), row.count, out);
  if (type == CodeType::bf16 && row.type == ElementType::f32) return f32_to_bf16(in.data(), row.count, out);
  std::memcpy(out, in.data(), in.size());
}

}  // namespace

size_t row_bytes(CodeType type, size_t columns) { return (columns * code_bits(type) + 7) / 8; }

void convert_row(const Elements& row, CodeType type, size_t padded_columns, std::byte* out) {
  size_t filled = row_bytes(type, row.count);
  std::memset(out + filled, 0, row_bytes(type, padded_columns) - filled);
  switch (type) {
    case CodeType::u4:
    case CodeType::level4: return convert_nibbles(row, padded_columns, out);
    case CodeType::u8:
    case CodeType::f8e4m3: return convert_bytes(row, out);
    case CodeType::f16:
    case CodeType::bf16:
    case CodeType::f32: return convert_floats(row, type, out);
  }
}

}  // namespace nibble::cpu
