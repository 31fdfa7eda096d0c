#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "checkpoint/byte_reader.hpp"

namespace nibble {

/// Types of metadata values, numbered as in the file.
enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

/// A value of a GGUF file's metadata: where it lies in the mapped file, checked. Texts are their length in 8 bytes and their bytes.
struct GgufValue {
  GgufType type = GgufType::u8;  ///< of an array: that of its elements
  bool is_array = false;
  uint64_t count = 1;                ///< elements of an array
  std::span<const std::byte> bytes;  ///< of all elements
};

/// Reads a value of this type and checks all that it consists of. Arrays may nest a few levels deep. Throws Error{corrupt}.
GgufValue read_gguf_value(ByteReader& reader, GgufType type);

/// "a whole number", "a list of texts", ... for messages.
std::string_view describe(const GgufValue& value);

}  // namespace nibble
