#include "chat/jinja/unicode.hpp"

#include <unicode/uchar.h>

#include <algorithm>

namespace nibble::jinja {

namespace {

UChar32 as_icu(char32_t c) { return static_cast<UChar32>(c); }

bool in_mask(char32_t c, uint32_t mask) { return (U_MASK(u_charType(as_icu(c))) & mask) != 0; }

UNumericType numeric_type(char32_t c) { return static_cast<UNumericType>(u_getIntPropertyValue(as_icu(c), UCHAR_NUMERIC_TYPE)); }

}  // namespace

char32_t next_code_point(std::string_view text, size_t& position) {
  const CodePoint c = code_point_at(text, position);
  position += c.size;
  return c.value;
}

std::u32string code_points(std::string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) result += next_code_point(text, i);
  return result;
}

std::string to_utf8(std::u32string_view text) {
  std::string result;
  result.reserve(text.size());
  for (char32_t c : text) append_utf8(result, c);
  return result;
}

size_t byte_offset(std::string_view text, size_t index, bool ascii) {
  if (ascii) return std::min(index, text.size());
  size_t at = 0;
  for (; at < text.size(); ++at)
    if (!is_continuation_byte(text[at]) && index-- == 0) break;
  return at;
}

bool has_surrogate(std::string_view text) {
  for (size_t i = 0; i + 1 < text.size(); ++i)
    if (text[i] == '\xED' && static_cast<unsigned char>(text[i + 1]) >= 0xA0) return true;
  return false;
}

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
  return c == 0x85 || in_mask(c, U_GC_Z_MASK);
}

bool is_alpha(char32_t c) { return in_mask(c, U_GC_L_MASK); }
bool is_decimal(char32_t c) { return numeric_type(c) == U_NT_DECIMAL; }
bool is_digit(char32_t c) { return numeric_type(c) == U_NT_DECIMAL || numeric_type(c) == U_NT_DIGIT; }
bool is_numeric(char32_t c) { return numeric_type(c) != U_NT_NONE; }
bool is_printable(char32_t c) { return c == ' ' || !in_mask(c, U_GC_C_MASK | U_GC_Z_MASK); }
bool is_word(char32_t c) { return c == '_' || is_alnum(c); }
bool is_upper(char32_t c) { return u_hasBinaryProperty(as_icu(c), UCHAR_UPPERCASE); }
bool is_lower(char32_t c) { return u_hasBinaryProperty(as_icu(c), UCHAR_LOWERCASE); }
bool is_title(char32_t c) { return u_charType(as_icu(c)) == U_TITLECASE_LETTER; }

bool is_identifier(std::string_view text) {
  if (text.empty()) return false;
  for (size_t i = 0; i < text.size();) {
    const bool first = i == 0;
    const char32_t c = next_code_point(text, i);
    if (c == '_') continue;
    if (!u_hasBinaryProperty(as_icu(c), first ? UCHAR_XID_START : UCHAR_XID_CONTINUE)) return false;
  }
  return true;
}

namespace {

bool matches(char32_t c, const std::u32string* chars) { return chars ? chars->find(c) != std::u32string::npos : is_space(c); }

}  // namespace

std::string_view strip(std::string_view text, const std::string_view* chars, bool left, bool right) {
  std::u32string set;
  if (chars) set = code_points(*chars);
  const std::u32string* wanted = chars ? &set : nullptr;
  while (left && !text.empty()) {
    size_t end = 0;
    if (!matches(next_code_point(text, end), wanted)) break;
    text.remove_prefix(end);
  }
  while (right && !text.empty()) {
    const CodePoint last = code_point_before(text, text.size());
    if (!matches(last.value, wanted)) break;
    text.remove_suffix(last.size);
  }
  return text;
}

char32_t code_point_named(std::string_view name) {
  const std::string text(name);
  for (UCharNameChoice choice : {U_UNICODE_CHAR_NAME, U_CHAR_NAME_ALIAS}) {
    UErrorCode code = U_ZERO_ERROR;
    UChar32 c = u_charFromName(choice, text.c_str(), &code);
    if (U_SUCCESS(code)) return static_cast<char32_t>(c);
  }
  return 0;
}

}  // namespace nibble::jinja
