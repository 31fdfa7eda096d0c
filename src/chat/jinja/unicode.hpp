#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/utf8.hpp"

namespace nibble::jinja {

/// Text as Python sees it: code points, kept as UTF-8 (lone surrogates as three bytes). Stateless, thread-safe.

/// The code point at byte `position`, which moves behind it. `text` is valid.
char32_t next_code_point(std::string_view text, size_t& position);
std::u32string code_points(std::string_view text);
std::string to_utf8(std::u32string_view text);
/// Byte at which code point `index` starts; the size when there are fewer.
size_t byte_offset(std::string_view text, size_t index, bool ascii);
/// True for text that holds a surrogate, which no UTF-8 may.
bool has_surrogate(std::string_view text);

// str.isspace and so on, for one code point.
bool is_space(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_printable(char32_t c);
bool is_word(char32_t c);  ///< \w of a regular expression
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);
bool is_identifier(std::string_view text);
inline bool is_alnum(char32_t c) { return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c); }

// str.upper and so on: full case mappings, final sigma.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string title(std::string_view text);
std::string capitalize(std::string_view text);
std::string swapcase(std::string_view text);
std::string casefold(std::string_view text);

/// `text` without leading / trailing code points that are in `chars`, or without white space when chars is null.
std::string_view strip(std::string_view text, const std::string_view* chars, bool left, bool right);

/// The code point of that Unicode name or alias; 0 when there is none.
char32_t code_point_named(std::string_view name);

}  // namespace nibble::jinja
