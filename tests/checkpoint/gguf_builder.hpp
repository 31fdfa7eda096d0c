#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "nibble/tensor.hpp"

namespace nibble::samples {

/// Puts a GGUF file together, also a wrong one.
class GgufBuilder {
 public:
  static constexpr uint32_t kU32 = 4, kF32 = 6, kBool = 7, kText = 8, kArray = 9, kU64 = 10;
  static constexpr uint32_t kTypeF32 = 0, kTypeF16 = 1, kTypeQ4_0 = 2, kTypeQ8_0 = 8;

  static std::string little_endian(uint64_t value, size_t width) {
    std::string bytes;
    for (size_t i = 0; i < width; ++i) bytes += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
    return bytes;
  }
  static std::string text(std::string_view value) { return little_endian(value.size(), 8) + std::string(value); }
  static std::string number(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return little_endian(bits, 4);
  }

  GgufBuilder& value(std::string_view key, uint32_t type, const std::string& bytes) {
    values_.push_back(text(key) + little_endian(type, 4) + bytes);
    return *this;
  }
  GgufBuilder& set(std::string_view key, uint32_t number) { return value(key, kU32, little_endian(number, 4)); }
  GgufBuilder& set(std::string_view key, float number_value) { return value(key, kF32, number(number_value)); }
  GgufBuilder& set(std::string_view key, bool flag) { return value(key, kBool, std::string(1, flag ? '\1' : '\0')); }
  GgufBuilder& set(std::string_view key, const char* content) { return value(key, kText, text(content)); }
  GgufBuilder& set(std::string_view key, const std::vector<std::string>& texts) {
    std::string bytes = little_endian(kText, 4) + little_endian(texts.size(), 8);
    for (const auto& entry : texts) bytes += text(entry);
    return value(key, kArray, bytes);
  }
  GgufBuilder& set(std::string_view key, const std::vector<uint32_t>& numbers) {
    std::string bytes = little_endian(kU32, 4) + little_endian(numbers.size(), 8);
    for (uint32_t entry : numbers) bytes += little_endian(entry, 4);
    return value(key, kArray, bytes);
  }

  /// `shape` as tensors have it, the last dimension dense.
  GgufBuilder& tensor(std::string_view name, const Shape& shape, uint32_t type, const std::string& data) {
    describe(name, shape, type, data_.size());
    data_ += data;
    data_.resize((data_.size() + 31) / 32 * 32);
    return *this;
  }
  GgufBuilder& describe(std::string_view name, const Shape& shape, uint32_t type, uint64_t offset) {
    std::string entry = text(name) + little_endian(shape.size(), 4);
    for (size_t i = shape.size(); i-- > 0;) entry += little_endian(static_cast<uint64_t>(shape[i]), 8);
    tensors_.push_back(entry + little_endian(type, 4) + little_endian(offset, 8));
    return *this;
  }

  std::string bytes(uint32_t version = 3, std::string_view magic = "GGUF") const {
    std::string out = std::string(magic) + little_endian(version, 4) + little_endian(tensors_.size(), 8) + little_endian(values_.size(), 8);
    for (const auto& entry : values_) out += entry;
    for (const auto& entry : tensors_) out += entry;
    if (!tensors_.empty()) out.resize((out.size() + 31) / 32 * 32);
    return out + data_;
  }

 private:
  std::vector<std::string> values_, tensors_;
  std::string data_;
};

}  // namespace nibble::samples
