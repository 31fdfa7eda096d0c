#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nibble {

/// Reads little-endian values one after the other from bytes of any alignment; a read beyond the end throws Error{corrupt}.
/// For one thread; the bytes must outlive it and the views it returns.
class ByteReader {
 public:
  /// `where` names the bytes in errors: "model/pytorch_model.bin: data.pkl".
  ByteReader(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  void seek(uint64_t position);
  std::span<const std::byte> take(uint64_t count);
  std::string_view text(uint64_t count);
  /// Up to the next line feed, which is consumed and not returned.
  std::string_view line();
  template <std::unsigned_integral T>
  T read() {
    uint64_t value = 0;
    auto bytes = take(sizeof(T));
    for (size_t i = 0; i < sizeof(T); ++i) value |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
    return static_cast<T>(value);
  }

 private:
  std::span<const std::byte> bytes_;
  std::string where_;
  size_t position_ = 0;
};

/// The bytes as characters.
inline std::string_view as_text(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace nibble
