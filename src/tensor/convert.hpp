#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nibble/tensor.hpp"

namespace nibble {

/// Elements [first, first + out.size()) of packed data of any numeric type, as float. `packed` may be unaligned.
/// Packing of sub-byte types: OpenVINO's (docs/formats/openvino-ir.md).
void unpack_to_float(ElementType type, const std::byte* packed, size_t first, std::span<float> out);
/// The same for integer and boolean types, without loss.
void unpack_to_int64(ElementType type, const std::byte* packed, size_t first, std::span<int64_t> out);

/// Writes elements [first, first + values.size()) of packed data; for sub-byte types neighbouring elements are kept,
/// so two threads must not share a byte. Integers: values out of range wrap, as a C cast does; floats round to nearest even.
void pack_from_float(ElementType type, std::span<const float> values, std::byte* packed, size_t first);
void pack_from_int64(ElementType type, std::span<const int64_t> values, std::byte* packed, size_t first);

/// OpenVINO's Convert: float to integer truncates towards zero, anything to boolean is `!= 0`.
Tensor convert(const Tensor& tensor, ElementType type);

/// How many of packed f16, bf16 or f32 elements are infinite or not a number; 0 for other types.
size_t count_not_finite(ElementType type, std::span<const std::byte> packed);

/// All elements of a (small) integer tensor; throws Error{invalid_argument} for other types.
std::vector<int64_t> to_int64s(const Tensor& tensor);
/// All elements of a numeric tensor as float.
std::vector<float> to_floats(const Tensor& tensor);

}  // namespace nibble
