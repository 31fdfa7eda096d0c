#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nibble {

/// Fast hashes of content (XXH3): they tell accidents, not attacks.
struct Hash128 {
  uint64_t high = 0, low = 0;
  bool operator==(const Hash128&) const = default;
};

Hash128 hash128(std::span<const std::byte> bytes);
uint64_t hash64(std::span<const std::byte> bytes);

/// 32 hexadecimal digits; and back, nothing for any other text.
std::string to_hex(const Hash128& hash);
std::optional<Hash128> parse_hash128(std::string_view hex);

}  // namespace nibble
