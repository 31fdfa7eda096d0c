#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nibble {

// Text as UTF-8 (Unicode 15, 3.9 and table 3-7). Stateless, thread-safe.

/// One code point and the bytes it takes in UTF-8.
struct CodePoint {
  char32_t value;
  uint32_t size;
};

/// The code point at `position` of valid UTF-8, in which surrogates may stand alone as three bytes.
inline CodePoint code_point_at(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[position + i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

inline bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// The code point that ends before `position` of valid UTF-8; `position` > 0.
CodePoint code_point_before(std::string_view text, size_t position);

/// A surrogate as three bytes.
void append_utf8(std::string& text, char32_t code_point);
std::string to_utf8(char32_t code_point);

/// Code points of valid UTF-8.
size_t count_code_points(std::string_view text);

enum class Utf8Kind { complete, incomplete, invalid };

/// How a byte sequence begins: with a whole character, with the beginning of one that ends too early, or with `size` bytes that
/// can be part of no character (the "maximal subpart" of the Unicode Standard, 3.9).
struct Utf8Prefix {
  Utf8Kind kind;
  size_t size;
};
Utf8Prefix scan_utf8(std::string_view bytes);

/// How many bytes are well-formed before the first that is part of no whole character: all of them in valid UTF-8.
size_t valid_utf8_size(std::string_view bytes);
inline bool is_utf8(std::string_view bytes) { return valid_utf8_size(bytes) == bytes.size(); }

/// `bytes` as valid UTF-8, U+FFFD in place of each maximal invalid part.
std::string sanitize_utf8(std::string_view bytes);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// Appends `bytes` to `text` with `replacement` for each maximal invalid part and returns the bytes used: all but an unfinished
/// character at the end.
size_t append_sanitized(std::string& text, std::string_view bytes, std::string_view replacement = kReplacementCharacter);

}  // namespace nibble
