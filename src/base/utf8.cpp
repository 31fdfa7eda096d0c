#include "base/utf8.hpp"

#include <algorithm>

namespace nibble {

CodePoint code_point_before(std::string_view text, size_t position) {
  do --position;
  while (position > 0 && is_continuation_byte(text[position]));
  return code_point_at(text, position);
}

void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::string to_utf8(char32_t code_point) {
  std::string text;
  append_utf8(text, code_point);
  return text;
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation_byte(c); }));
}

Utf8Prefix scan_utf8(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  if (lead < 0x80) return {Utf8Kind::complete, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Utf8Kind::invalid, 1};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Utf8Kind::incomplete, i};
    const auto byte = static_cast<unsigned char>(bytes[i]);
    // The second byte excludes overlong forms, surrogates and what lies beyond U+10FFFF (Unicode, table 3-7).
    const unsigned low = i > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = i > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (byte < low || byte > high) return {Utf8Kind::invalid, i};
  }
  return {Utf8Kind::complete, length};
}

size_t valid_utf8_size(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    if (static_cast<unsigned char>(bytes[i]) < 0x80) {
      ++i;
      continue;
    }
    const Utf8Prefix prefix = scan_utf8(bytes.substr(i));
    if (prefix.kind != Utf8Kind::complete) break;
    i += prefix.size;
  }
  return i;
}

size_t append_sanitized(std::string& text, std::string_view bytes, std::string_view replacement) {
  size_t i = 0;
  while (i < bytes.size()) {
    const Utf8Prefix prefix = scan_utf8(bytes.substr(i));
    if (prefix.kind == Utf8Kind::incomplete) break;
    text.append(prefix.kind == Utf8Kind::complete ? bytes.substr(i, prefix.size) : replacement);
    i += prefix.size;
  }
  return i;
}

std::string sanitize_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  if (append_sanitized(text, bytes) < bytes.size()) text.append(kReplacementCharacter);
  return text;
}

}  // namespace nibble
