#include <unicode/uchar.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#include <algorithm>

#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

constexpr char32_t capital_sigma = 0x3A3, small_sigma = 0x3C3, final_sigma = 0x3C2;

enum class Mapping { upper, lower, fold };

/// The full mapping of one code point: up to three.
std::u32string map(char32_t c, Mapping mapping) {
  if (c < 0x80) {
    const bool change = mapping == Mapping::upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
    return std::u32string(1, change ? c ^ 0x20 : c);
  }
  UChar source[2], target[16];
  int32_t size = 0;
  U16_APPEND_UNSAFE(source, size, static_cast<UChar32>(c));
  UErrorCode code = U_ZERO_ERROR;
  int32_t count = mapping == Mapping::upper   ? u_strToUpper(target, 16, source, size, "", &code)
                  : mapping == Mapping::lower ? u_strToLower(target, 16, source, size, "", &code)
                                              : u_strFoldCase(target, 16, source, size, U_FOLD_CASE_DEFAULT, &code);
  if (U_FAILURE(code)) return std::u32string(1, c);
  std::u32string result;
  for (int32_t i = 0; i < count;) {
    UChar32 next = 0;
    U16_NEXT(target, i, count, next);
    result += static_cast<char32_t>(next);
  }
  return result;
}

bool is_cased(char32_t c) { return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED); }
bool is_case_ignorable(char32_t c) { return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASE_IGNORABLE); }

/// Unicode's condition Final_Sigma: a cased letter before, none after.
bool sigma_is_final(const std::u32string& text, size_t at) {
  size_t before = at;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  size_t after = at + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

std::u32string lower_at(const std::u32string& text, size_t at) {
  if (text[at] == capital_sigma) return std::u32string(1, sigma_is_final(text, at) ? final_sigma : small_sigma);
  return map(text[at], Mapping::lower);
}

std::u32string title_of(char32_t c) {
  if (auto simple = static_cast<char32_t>(u_totitle(static_cast<UChar32>(c))); simple != c) return std::u32string(1, simple);
  std::u32string full = map(c, Mapping::upper);
  if (full.size() < 2) return std::u32string(1, c);
  std::u32string result(1, full[0]);
  for (size_t i = 1; i < full.size(); ++i) result += map(full[i], Mapping::lower);
  return result;
}

}  // namespace

std::string upper(std::string_view text) {
  std::u32string result;
  for (char32_t c : code_points(text)) result += map(c, Mapping::upper);
  return to_utf8(result);
}

std::string lower(std::string_view text) {
  const std::u32string source = code_points(text);
  std::u32string result;
  for (size_t i = 0; i < source.size(); ++i) result += lower_at(source, i);
  return to_utf8(result);
}

std::string title(std::string_view text) {
  const std::u32string source = code_points(text);
  std::u32string result;
  bool after_cased = false;
  for (size_t i = 0; i < source.size(); ++i) {
    result += after_cased ? lower_at(source, i) : title_of(source[i]);
    after_cased = is_cased(source[i]);
  }
  return to_utf8(result);
}

std::string capitalize(std::string_view text) {
  const std::u32string source = code_points(text);
  std::u32string result;
  for (size_t i = 0; i < source.size(); ++i) result += i == 0 ? title_of(source[i]) : lower_at(source, i);
  return to_utf8(result);
}

std::string swapcase(std::string_view text) {
  const std::u32string source = code_points(text);
  std::u32string result;
  for (size_t i = 0; i < source.size(); ++i) {
    if (is_upper(source[i])) {
      result += lower_at(source, i);
    } else if (is_lower(source[i])) {
      result += map(source[i], Mapping::upper);
    } else {
      result += source[i];
    }
  }
  return to_utf8(result);
}

std::string casefold(std::string_view text) {
  std::u32string result;
  for (char32_t c : code_points(text)) result += map(c, Mapping::fold);
  return to_utf8(result);
}

}  // namespace nibble::jinja
