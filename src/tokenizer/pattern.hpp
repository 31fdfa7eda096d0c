#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/json_view.hpp"
#include "tokenizer/regex.hpp"

namespace nibble::tokenizer {

/// A range of a text that a pattern matched, or that lies between two matches.
struct Part {
  size_t begin, end;
  bool matched;
};

/// Something to look for in a text. Immutable and thread-safe.
class Pattern {
 public:
  virtual ~Pattern() = default;
  /// Appends the matches in order, and the parts between them, so that together they cover the text.
  virtual void find(std::string_view text, std::vector<Part>& parts) const = 0;
};

/// A regular expression.
class RegexPattern : public Pattern {
 public:
  explicit RegexPattern(std::string_view pattern) : regex_(pattern) {}
  void find(std::string_view text, std::vector<Part>& parts) const override;

 private:
  Regex regex_;
};

/// A literal string. An empty one matches between all characters.
class LiteralPattern : public Pattern {
 public:
  explicit LiteralPattern(std::string literal) : literal_(std::move(literal)) {}
  void find(std::string_view text, std::vector<Part>& parts) const override;

 private:
  std::string literal_;
};

/// Single characters with a property.
class CharacterPattern : public Pattern {
 public:
  explicit CharacterPattern(bool (*accepts)(char32_t)) : accepts_(accepts) {}
  void find(std::string_view text, std::vector<Part>& parts) const override;

 private:
  bool (*accepts_)(char32_t);
};

/// Runs of word characters, and runs of characters that are neither word characters nor white space.
class WordPattern : public Pattern {
 public:
  void find(std::string_view text, std::vector<Part>& parts) const override;
};

/// The pattern of a {"String": ...} or {"Regex": ...} object.
std::unique_ptr<const Pattern> make_pattern(const JsonView& view);
/// The literal of a {"String": ...} object, if it is one and not empty.
std::optional<std::string> literal_of_pattern(const JsonView& view);

/// `text` with `content` in place of every match. Throws Error{exhausted} when the result is out of all proportion.
std::string replace_all(std::string_view text, const Pattern& pattern, std::string_view content);

}  // namespace nibble::tokenizer
