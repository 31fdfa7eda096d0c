#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nibble::tokenizer {

/// One field of a message: `value` for numbers, `bytes` for strings and messages.
struct ProtobufField {
  uint32_t number;
  uint64_t value = 0;
  std::string_view bytes;
  float as_float() const;
};

/// Reads the protobuf wire format field by field (protobuf.dev/programming-guides/encoding). Borrows the bytes.
class ProtobufReader {
 public:
  /// `place` is what errors name.
  ProtobufReader(std::string_view bytes, const std::string& place) : rest_(bytes), place_(place) {}
  /// nullopt at the end; throws Error{corrupt} where the bytes are no message.
  std::optional<ProtobufField> next();

 private:
  uint64_t varint();
  uint64_t fixed(size_t bytes);
  std::string_view take(uint64_t bytes);

  std::string_view rest_;
  const std::string& place_;
};

}  // namespace nibble::tokenizer
