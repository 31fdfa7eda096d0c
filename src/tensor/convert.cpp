#include "tensor/convert.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/fail.hpp"
#include "tensor/float_types.hpp"

namespace nibble {

namespace {

template <class T>
T load(const std::byte* packed, size_t index) {
  T value;
  std::memcpy(&value, packed + index * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void store(std::byte* packed, size_t index, T value) {
  std::memcpy(packed + index * sizeof(T), &value, sizeof(T));
}

uint8_t nibble_at(const std::byte* packed, size_t index) { return (std::to_integer<uint8_t>(packed[index / 2]) >> (4 * (index & 1))) & 15; }

void set_bits(std::byte& target, unsigned shift, unsigned width, unsigned value) {
  auto mask = static_cast<uint8_t>(((1u << width) - 1) << shift);
  target = static_cast<std::byte>((std::to_integer<uint8_t>(target) & ~mask) | ((value << shift) & mask));
}

unsigned bits_at(std::byte byte, unsigned shift, unsigned width) {
  return (std::to_integer<unsigned>(byte) >> shift) & ((1u << width) - 1);
}

/// Codes of the sub-byte unsigned types; u3 and u6 spread a code over a block of three bytes.
unsigned sub_byte_code(ElementType type, const std::byte* packed, size_t index) {
  switch (type) {
    case ElementType::u1: return bits_at(packed[index / 8], 7 - index % 8, 1);
    case ElementType::u2: return bits_at(packed[index / 4], 2 * (index % 4), 2);
    case ElementType::u3: {
      const std::byte* block = packed + index / 8 * 3;
      size_t i = index % 8;
      return bits_at(block[i / 4], 6 - 2 * (i % 4), 2) | bits_at(block[2], 7 - i, 1) << 2;
    }
    case ElementType::u6: {
      const std::byte* block = packed + index / 4 * 3;
      size_t i = index % 4;
      return bits_at(block[i / 2], i % 2 ? 0 : 4, 4) | bits_at(block[2], 6 - 2 * i, 2) << 4;
    }
    default: return nibble_at(packed, index);
  }
}

void set_sub_byte_code(ElementType type, std::byte* packed, size_t index, unsigned code) {
  switch (type) {
    case ElementType::u1: return set_bits(packed[index / 8], 7 - index % 8, 1, code);
    case ElementType::u2: return set_bits(packed[index / 4], 2 * (index % 4), 2, code);
    case ElementType::u3: {
      std::byte* block = packed + index / 8 * 3;
      size_t i = index % 8;
      set_bits(block[i / 4], 6 - 2 * (i % 4), 2, code & 3);
      return set_bits(block[2], 7 - i, 1, code >> 2);
    }
    case ElementType::u6: {
      std::byte* block = packed + index / 4 * 3;
      size_t i = index % 4;
      set_bits(block[i / 2], i % 2 ? 0 : 4, 4, code & 15);
      return set_bits(block[2], 6 - 2 * i, 2, code >> 4);
    }
    default: return set_bits(packed[index / 2], 4 * (index & 1), 4, code);
  }
}

/// Calls visit(index -> value) with a reader typed for the element type, so that the loop over elements is inside the switch.
template <class Visit>
void with_reader(ElementType type, const std::byte* p, Visit&& visit) {
  switch (type) {
    case ElementType::f32: return visit([p](size_t i) { return load<float>(p, i); });
    case ElementType::f64: return visit([p](size_t i) { return load<double>(p, i); });
    case ElementType::f16: return visit([p](size_t i) { return to_float(load<float16>(p, i)); });
    case ElementType::bf16: return visit([p](size_t i) { return to_float(load<bfloat16>(p, i)); });
    case ElementType::i64: return visit([p](size_t i) { return load<int64_t>(p, i); });
    case ElementType::i32: return visit([p](size_t i) { return load<int32_t>(p, i); });
    case ElementType::i16: return visit([p](size_t i) { return load<int16_t>(p, i); });
    case ElementType::i8: return visit([p](size_t i) { return load<int8_t>(p, i); });
    case ElementType::u64: return visit([p](size_t i) { return load<uint64_t>(p, i); });
    case ElementType::u32: return visit([p](size_t i) { return load<uint32_t>(p, i); });
    case ElementType::u16: return visit([p](size_t i) { return load<uint16_t>(p, i); });
    case ElementType::u8: return visit([p](size_t i) { return load<uint8_t>(p, i); });
    case ElementType::boolean: return visit([p](size_t i) { return load<uint8_t>(p, i) != 0; });
    case ElementType::i4: return visit([p](size_t i) { return static_cast<int>(nibble_at(p, i) ^ 8) - 8; });
    case ElementType::u4: return visit([p](size_t i) { return static_cast<int>(nibble_at(p, i)); });
    case ElementType::u1:
    case ElementType::u2:
    case ElementType::u3:
    case ElementType::u6: return visit([p, type](size_t i) { return static_cast<int>(sub_byte_code(type, p, i)); });
    case ElementType::nf4: return visit([p](size_t i) { return nf4_to_float(nibble_at(p, i)); });
    case ElementType::f4e2m1: return visit([p](size_t i) { return f4e2m1_to_float(nibble_at(p, i)); });
    case ElementType::f8e4m3: return visit([p](size_t i) { return f8e4m3_to_float(load<uint8_t>(p, i)); });
    case ElementType::f8e5m2: return visit([p](size_t i) { return f8e5m2_to_float(load<uint8_t>(p, i)); });
    case ElementType::f8e8m0: return visit([p](size_t i) { return f8e8m0_to_float(load<uint8_t>(p, i)); });
    case ElementType::dynamic:
    case ElementType::string: break;
  }
  fail(ErrorKind::unsupported, "elements of type {} are not numbers", to_string(type));
}

/// The same for writing: visit(set(index, value)).
template <class From, class Visit>
void with_writer(ElementType type, std::byte* p, Visit&& visit) {
  // A float outside the integer's range has no defined C++ cast; like x86's, it becomes the most negative number.
  auto integer = [](From v) -> int64_t {
    if constexpr (std::is_floating_point_v<From>) {
      if (!(v > -9.2e18 && v < 9.2e18)) return INT64_MIN;
    }
    return static_cast<int64_t>(v);
  };
  switch (type) {
    case ElementType::f32: return visit([p](size_t i, From v) { store(p, i, static_cast<float>(v)); });
    case ElementType::f64: return visit([p](size_t i, From v) { store(p, i, static_cast<double>(v)); });
    case ElementType::f16: return visit([p](size_t i, From v) { store(p, i, to_float16(static_cast<float>(v))); });
    case ElementType::bf16: return visit([p](size_t i, From v) { store(p, i, to_bfloat16(static_cast<float>(v))); });
    case ElementType::i64:
    case ElementType::u64: return visit([=](size_t i, From v) { store(p, i, integer(v)); });
    case ElementType::i32:
    case ElementType::u32: return visit([=](size_t i, From v) { store(p, i, static_cast<int32_t>(integer(v))); });
    case ElementType::i16:
    case ElementType::u16: return visit([=](size_t i, From v) { store(p, i, static_cast<int16_t>(integer(v))); });
    case ElementType::i8:
    case ElementType::u8: return visit([=](size_t i, From v) { store(p, i, static_cast<int8_t>(integer(v))); });
    case ElementType::boolean: return visit([p](size_t i, From v) { store<uint8_t>(p, i, v != 0); });
    case ElementType::i4:
    case ElementType::u1:
    case ElementType::u2:
    case ElementType::u3:
    case ElementType::u4:
    case ElementType::u6: return visit([=](size_t i, From v) { set_sub_byte_code(type, p, i, static_cast<unsigned>(integer(v))); });
    case ElementType::nf4: return visit([=](size_t i, From v) { set_sub_byte_code(type, p, i, float_to_nf4(static_cast<float>(v))); });
    case ElementType::f4e2m1:
      return visit([=](size_t i, From v) { set_sub_byte_code(type, p, i, float_to_f4e2m1(static_cast<float>(v))); });
    case ElementType::f8e4m3: return visit([p](size_t i, From v) { store(p, i, float_to_f8e4m3(static_cast<float>(v))); });
    case ElementType::f8e5m2: return visit([p](size_t i, From v) { store(p, i, float_to_f8e5m2(static_cast<float>(v))); });
    case ElementType::f8e8m0:
    case ElementType::dynamic:
    case ElementType::string: break;
  }
  fail(ErrorKind::unsupported, "cannot convert numbers to {}", to_string(type));
}

bool holds_integers(ElementType type) { return is_integer(type) || type == ElementType::boolean; }

constexpr size_t kBlock = 4096;  // elements converted at a time through a buffer that stays in L1

template <class Value, class Unpack, class Pack>
void convert_blocks(const Tensor& from, Tensor& to, Unpack unpack, Pack pack) {
  std::array<Value, kBlock> buffer;
  for (size_t first = 0; first < from.size(); first += kBlock) {
    std::span<Value> block(buffer.data(), std::min(kBlock, from.size() - first));
    unpack(from.type(), from.data(), first, block);
    pack(to.type(), block, to.mutable_data(), first);
  }
}

/// Counts in blocks that keep the sums in the width of the elements, where vector instructions count many at a time.
template <class Bits>
size_t count_with_all_bits(std::span<const std::byte> packed, Bits mask) {
  size_t size = packed.size() / sizeof(Bits), total = 0;
  for (size_t first = 0; first < size; first += kBlock) {
    Bits count = 0;
    for (size_t i = first; i < std::min(first + kBlock, size); ++i)
      count = static_cast<Bits>(count + ((load<Bits>(packed.data(), i) & mask) == mask));
    total += count;
  }
  return total;
}

}  // namespace

void unpack_to_float(ElementType type, const std::byte* packed, size_t first, std::span<float> out) {
  with_reader(type, packed, [&](auto read) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(read(first + i));
  });
}

void unpack_to_int64(ElementType type, const std::byte* packed, size_t first, std::span<int64_t> out) {
  if (!holds_integers(type)) fail(ErrorKind::invalid_argument, "elements of type {} are not integers", to_string(type));
  with_reader(type, packed, [&](auto read) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int64_t>(read(first + i));
  });
}

void pack_from_float(ElementType type, std::span<const float> values, std::byte* packed, size_t first) {
  with_writer<float>(type, packed, [&](auto write) {
    for (size_t i = 0; i < values.size(); ++i) write(first + i, values[i]);
  });
}

void pack_from_int64(ElementType type, std::span<const int64_t> values, std::byte* packed, size_t first) {
  with_writer<int64_t>(type, packed, [&](auto write) {
    for (size_t i = 0; i < values.size(); ++i) write(first + i, values[i]);
  });
}

Tensor convert(const Tensor& tensor, ElementType type) {
  if (tensor.type() == type) return tensor;
  Tensor out(type, tensor.shape());
  if (holds_integers(tensor.type()))
    convert_blocks<int64_t>(tensor, out, unpack_to_int64, pack_from_int64);
  else
    convert_blocks<float>(tensor, out, unpack_to_float, pack_from_float);
  return out;
}

size_t count_not_finite(ElementType type, std::span<const std::byte> packed) {
  switch (type) {
    case ElementType::f16: return count_with_all_bits<uint16_t>(packed, 0x7c00);
    case ElementType::bf16: return count_with_all_bits<uint16_t>(packed, 0x7f80);
    case ElementType::f32: return count_with_all_bits<uint32_t>(packed, 0x7f800000);
    default: return 0;
  }
}

std::vector<int64_t> to_int64s(const Tensor& tensor) {
  std::vector<int64_t> values(tensor.size());
  unpack_to_int64(tensor.type(), tensor.data(), 0, values);
  return values;
}

std::vector<float> to_floats(const Tensor& tensor) {
  std::vector<float> values(tensor.size());
  unpack_to_float(tensor.type(), tensor.data(), 0, values);
  return values;
}

}  // namespace nibble
