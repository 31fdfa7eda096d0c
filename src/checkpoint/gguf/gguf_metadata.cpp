#include "checkpoint/gguf/gguf_metadata.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/fail.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

double shortest_decimal(float value) {
  if (!std::isfinite(value)) return static_cast<double>(value);
  char digits[32];
  auto written = std::to_chars(digits, digits + sizeof digits, value);
  double out = 0;
  std::from_chars(digits, written.ptr, out);
  return out;
}

bool is_whole(GgufType type) {
  return type != GgufType::f32 && type != GgufType::f64 && type != GgufType::boolean && type != GgufType::text && type != GgufType::array;
}

/// One element of a whole type; nothing beyond 63 bits.
std::optional<int64_t> read_integer(ByteReader& reader, GgufType type) {
  switch (type) {
    case GgufType::u8: return reader.read<uint8_t>();
    case GgufType::i8: return static_cast<int8_t>(reader.read<uint8_t>());
    case GgufType::u16: return reader.read<uint16_t>();
    case GgufType::i16: return static_cast<int16_t>(reader.read<uint16_t>());
    case GgufType::u32: return reader.read<uint32_t>();
    case GgufType::i32: return static_cast<int32_t>(reader.read<uint32_t>());
    case GgufType::i64: return static_cast<int64_t>(reader.read<uint64_t>());
    default: break;
  }
  auto value = reader.read<uint64_t>();
  return value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ? std::nullopt : std::optional(static_cast<int64_t>(value));
}

std::optional<double> read_number(ByteReader& reader, GgufType type) {
  if (type == GgufType::f32) return shortest_decimal(std::bit_cast<float>(reader.read<uint32_t>()));
  if (type == GgufType::f64) return std::bit_cast<double>(reader.read<uint64_t>());
  auto value = read_integer(reader, type);
  return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
}

}  // namespace

void GgufMetadata::reject(std::string_view key, std::string_view problem) const {
  fail(ErrorKind::corrupt, "{}: metadata {} {}", where_, shown(key), problem);
}

const GgufValue* GgufMetadata::find(std::string_view key, bool is_array, std::string_view expected) const {
  auto found = values_.find(key);
  if (found == values_.end()) return nullptr;
  if (found->second.is_array != is_array) reject(key, fmt::format("should be {}, it is {}", expected, describe(found->second)));
  return &found->second;
}

bool GgufMetadata::is_list(std::string_view key) const {
  auto found = values_.find(key);
  return found != values_.end() && found->second.is_array;
}

std::optional<int64_t> GgufMetadata::integer(std::string_view key) const {
  const GgufValue* value = find(key, false, "a whole number");
  if (!value) return std::nullopt;
  if (!is_whole(value->type)) reject(key, fmt::format("should be a whole number, it is {}", describe(*value)));
  ByteReader reader(value->bytes, where_);
  auto number = read_integer(reader, value->type);
  if (!number) reject(key, "is too large a number");
  return number;
}

std::optional<double> GgufMetadata::number(std::string_view key) const {
  const GgufValue* value = find(key, false, "a number");
  if (!value) return std::nullopt;
  bool is_float = value->type == GgufType::f32 || value->type == GgufType::f64;
  if (!is_float && !is_whole(value->type)) reject(key, fmt::format("should be a number, it is {}", describe(*value)));
  ByteReader reader(value->bytes, where_);
  auto number = read_number(reader, value->type);
  if (!number || !std::isfinite(*number)) reject(key, "is no finite number");
  return number;
}

std::optional<bool> GgufMetadata::flag(std::string_view key) const {
  const GgufValue* value = find(key, false, "a boolean");
  if (!value) return std::nullopt;
  if (value->type != GgufType::boolean) reject(key, fmt::format("should be a boolean, it is {}", describe(*value)));
  return value->bytes[0] != std::byte{0};
}

std::optional<std::string_view> GgufMetadata::text(std::string_view key) const {
  const GgufValue* value = find(key, false, "a text");
  if (!value) return std::nullopt;
  if (value->type != GgufType::text) reject(key, fmt::format("should be a text, it is {}", describe(*value)));
  return as_text(value->bytes.subspan(8));
}

std::vector<int64_t> GgufMetadata::integers(std::string_view key) const {
  const GgufValue* value = find(key, true, "a list of whole numbers");
  std::vector<int64_t> out;
  if (!value) return out;
  if (!is_whole(value->type)) reject(key, fmt::format("should be a list of whole numbers, it is {}", describe(*value)));
  ByteReader reader(value->bytes, where_);
  for (uint64_t i = 0; i < value->count; ++i) {
    auto number = read_integer(reader, value->type);
    if (!number) reject(key, "holds too large a number");
    out.push_back(*number);
  }
  return out;
}

std::vector<double> GgufMetadata::numbers(std::string_view key) const {
  const GgufValue* value = find(key, true, "a list of numbers");
  std::vector<double> out;
  if (!value) return out;
  if (!is_whole(value->type) && value->type != GgufType::f32 && value->type != GgufType::f64)
    reject(key, fmt::format("should be a list of numbers, it is {}", describe(*value)));
  ByteReader reader(value->bytes, where_);
  for (uint64_t i = 0; i < value->count; ++i) {
    auto number = read_number(reader, value->type);
    if (!number || !std::isfinite(*number)) reject(key, "holds what is no finite number");
    out.push_back(*number);
  }
  return out;
}

std::vector<bool> GgufMetadata::flags(std::string_view key) const {
  const GgufValue* value = find(key, true, "a list of booleans");
  std::vector<bool> out;
  if (!value) return out;
  if (value->type != GgufType::boolean) reject(key, fmt::format("should be a list of booleans, it is {}", describe(*value)));
  for (std::byte flag : value->bytes) out.push_back(flag != std::byte{0});
  return out;
}

std::vector<std::string_view> GgufMetadata::texts(std::string_view key) const {
  const GgufValue* value = find(key, true, "a list of texts");
  std::vector<std::string_view> out;
  if (!value) return out;
  if (value->type != GgufType::text) reject(key, fmt::format("should be a list of texts, it is {}", describe(*value)));
  ByteReader reader(value->bytes, where_);
  for (uint64_t i = 0; i < value->count; ++i) out.push_back(reader.text(reader.read<uint64_t>()));
  return out;
}

}  // namespace nibble
