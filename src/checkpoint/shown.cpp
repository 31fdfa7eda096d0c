#include "checkpoint/shown.hpp"

#include <algorithm>

namespace nibble {

namespace {

constexpr size_t kShownBytes = 160;  // longer than any sensible tensor name

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; }

}  // namespace

std::string shown(std::string_view text) {
  size_t length = std::min(text.size(), kShownBytes);
  while (length < text.size() && length > 0 && continues_character(text[length])) --length;
  std::string out = "'";
  for (char c : text.substr(0, length)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out + (length < text.size() ? "...'" : "'");
}

}  // namespace nibble
