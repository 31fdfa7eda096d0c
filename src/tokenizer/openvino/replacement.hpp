#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::tokenizer {

/// What takes the place of a match: text, and groups of the match between.
class Replacement {
 public:
  /// Groups as PCRE2 has them, $1, ${1}, $$ for a dollar; \1 too. Throws Error{unsupported} for named groups.
  explicit Replacement(std::string_view text);

  /// Appends the replacement of a match in `text` with these bounds, see PcreProgram::Matcher.
  void append(std::string_view text, std::span<const size_t> bounds, std::string& out) const;

 private:
  struct Part {
    std::optional<size_t> group;  // before the text
    std::string text;
  };

  size_t read_dollar(std::string_view text, size_t i);

  std::vector<Part> parts_{{std::nullopt, ""}};
};

}  // namespace nibble::tokenizer
