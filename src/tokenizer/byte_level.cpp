#include "tokenizer/byte_level.hpp"

#include <fmt/format.h>

#include "base/utf8.hpp"

namespace nibble::tokenizer {
namespace {

constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Tables {
  std::array<char16_t, 256> character{};
  std::array<int16_t, 512> byte{};
};

constexpr Tables make_tables() {
  Tables tables;
  for (int16_t& byte : tables.byte) byte = -1;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const unsigned character = is_printable(byte) ? byte : next++;
    tables.character[byte] = static_cast<char16_t>(character);
    tables.byte[character] = static_cast<int16_t>(byte);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

char32_t byte_to_character(unsigned char byte) { return kTables.character[byte]; }

std::optional<unsigned char> character_to_byte(char32_t c) {
  if (c >= kTables.byte.size() || kTables.byte[c] < 0) return std::nullopt;
  return static_cast<unsigned char>(kTables.byte[c]);
}

void append_token_bytes(std::string& bytes, std::string_view token) {
  const size_t before = bytes.size();
  for (size_t i = 0; i < token.size();) {
    const CodePoint c = code_point_at(token, i);
    const auto byte = character_to_byte(c.value);
    if (!byte) {
      bytes.resize(before);
      bytes.append(token);
      return;
    }
    bytes.push_back(static_cast<char>(*byte));
    i += c.size;
  }
}

std::string byte_token(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<unsigned char> parse_byte_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  int high = digit(token[3]);
  const int low = digit(token[4]);
  if (token[3] == '+') high = 0;  // Rust's integer parser takes a sign
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<unsigned char>(high * 16 + low);
}

}  // namespace nibble::tokenizer
