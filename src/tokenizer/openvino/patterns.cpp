#include "tokenizer/openvino/patterns.hpp"

#include "base/fail.hpp"
#include "tokenizer/regex_syntax.hpp"

namespace nibble::tokenizer {
namespace {

bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

/// Whether `pattern` has a ^ or $ that is no literal; a false yes does no harm.
bool has_line_anchor(std::string_view pattern) { return pattern.find_first_of("^$") != std::string_view::npos; }

}  // namespace

std::string literal_pattern(std::string_view literal) {
  std::string pattern;
  for (char c : literal) {
    if (static_cast<unsigned char>(c) < 0x20) {
      pattern.append(fmt::format("\\x{{{:x}}}", static_cast<unsigned char>(c)));
      continue;
    }
    if (!is_plain(c)) pattern.push_back('\\');
    pattern.push_back(c);
  }
  return pattern;
}

std::string literal_replacement(std::string_view literal) {
  std::string replacement;
  for (char c : literal) replacement.append(c == '$' ? "$$" : std::string(1, c));
  return replacement;
}

std::string pattern_of(const JsonView& view) {
  const auto regex = view.find("Regex");
  if (!regex) return literal_pattern(view.at("String").string());
  try {
    const std::string pattern = oniguruma_to_pcre2(regex->string());
    return has_line_anchor(pattern) ? "(?m)" + pattern : pattern;
  } catch (const Error& error) {
    regex->refuse(error.what());
  }
}

std::string class_of(const std::vector<char32_t>& code_points, bool negated) {
  std::string result = negated ? "[^" : "[";
  for (size_t i = 0; i < code_points.size();) {
    size_t end = i + 1;
    while (end < code_points.size() && code_points[end] == code_points[end - 1] + 1) ++end;
    result.append(fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(code_points[i])));
    if (end > i + 1) result.append(fmt::format("-\\x{{{:x}}}", static_cast<uint32_t>(code_points[end - 1])));
    i = end;
  }
  return result + "]";
}

}  // namespace nibble::tokenizer
