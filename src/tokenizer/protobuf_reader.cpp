#include "tokenizer/protobuf_reader.hpp"

#include <bit>

#include "base/fail.hpp"

namespace nibble::tokenizer {

float ProtobufField::as_float() const { return std::bit_cast<float>(static_cast<uint32_t>(value)); }

std::optional<ProtobufField> ProtobufReader::next() {
  if (rest_.empty()) return std::nullopt;
  const uint64_t key = varint();
  if (key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) fail(ErrorKind::corrupt, "{}: not a protobuf message: field number {}", place_, key >> 3);
  ProtobufField field{static_cast<uint32_t>(key >> 3), 0, {}};
  switch (key & 7) {
    case 0: field.value = varint(); break;
    case 1: field.value = fixed(8); break;
    case 2: field.bytes = take(varint()); break;
    case 5: field.value = fixed(4); break;
    default: fail(ErrorKind::corrupt, "{}: not a protobuf message: wire type {}", place_, key & 7);
  }
  return field;
}

uint64_t ProtobufReader::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(take(1)[0]);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  fail(ErrorKind::corrupt, "{}: not a protobuf message: a number of more than ten bytes", place_);
}

uint64_t ProtobufReader::fixed(size_t bytes) {
  const std::string_view source = take(bytes);
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(static_cast<unsigned char>(source[i])) << (8 * i);
  return value;
}

std::string_view ProtobufReader::take(uint64_t bytes) {
  if (bytes > rest_.size()) fail(ErrorKind::corrupt, "{}: ends within a field of {} bytes", place_, bytes);
  const std::string_view taken = rest_.substr(0, static_cast<size_t>(bytes));
  rest_.remove_prefix(static_cast<size_t>(bytes));
  return taken;
}

}  // namespace nibble::tokenizer
