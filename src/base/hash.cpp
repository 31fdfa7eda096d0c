#include "base/hash.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>

namespace nibble {

Hash128 hash128(std::span<const std::byte> bytes) {
  XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

uint64_t hash64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string to_hex(const Hash128& hash) { return fmt::format("{:016x}{:016x}", hash.high, hash.low); }

std::optional<Hash128> parse_hash128(std::string_view hex) {
  if (hex.size() != 32) return std::nullopt;
  Hash128 hash;
  const char* middle = hex.data() + 16;
  bool high = std::from_chars(hex.data(), middle, hash.high, 16).ptr == middle;
  bool low = std::from_chars(middle, middle + 16, hash.low, 16).ptr == middle + 16;
  if (!high || !low || to_hex(hash) != hex) return std::nullopt;
  return hash;
}

}  // namespace nibble
