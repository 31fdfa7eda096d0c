#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/json_view.hpp"

namespace nibble::tokenizer {

/// Patterns as the operations of OpenVINO's tokenizers extension compile them: PCRE2 with Unicode properties, `^` and `$` at the ends of
/// the text only.

/// A pattern that matches `literal`.
std::string literal_pattern(std::string_view literal);
/// A replacement that is `literal`.
std::string literal_replacement(std::string_view literal);
/// The pattern of a {"String": ...} or {"Regex": ...} object. Throws Error{unsupported} for what PCRE2 cannot say.
std::string pattern_of(const JsonView& view);

/// Character classes that mean the same whatever version of PCRE2 reads them: White_Space, `\w` of the `tokenizers` library, numbers,
/// punctuation.
inline constexpr std::string_view kSpaceClass =
    R"([\x09-\x0D\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}])";
inline constexpr std::string_view kWordItems =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
inline constexpr std::string_view kNumberClass = R"(\p{N})";
inline constexpr std::string_view kPunctuationClass = R"([\p{P}$+<=>^`|~])";

/// A class of code points, given in ascending order; negated when asked for.
std::string class_of(const std::vector<char32_t>& code_points, bool negated);

}  // namespace nibble::tokenizer
