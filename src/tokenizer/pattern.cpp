#include "tokenizer/pattern.hpp"

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

constexpr size_t kMaxGrowth = 64, kGrowthAllowance = 64 << 10;

/// Appends matches and the gaps between them.
class PartBuilder {
 public:
  PartBuilder(std::string_view text, std::vector<Part>& parts) : size_(text.size()), parts_(parts) {}
  void match(size_t begin, size_t end) {
    if (begin > last_) parts_.push_back({last_, begin, false});
    parts_.push_back({begin, end, true});
    last_ = end;
  }
  void finish() {
    if (last_ < size_) parts_.push_back({last_, size_, false});
  }

 private:
  size_t size_, last_ = 0;
  std::vector<Part>& parts_;
};

}  // namespace

void RegexPattern::find(std::string_view text, std::vector<Part>& parts) const {
  if (text.empty()) return;
  std::vector<std::pair<size_t, size_t>> matches;
  regex_.find_all(text, matches);
  PartBuilder builder(text, parts);
  for (const auto& [begin, end] : matches) builder.match(begin, end);
  builder.finish();
}

void LiteralPattern::find(std::string_view text, std::vector<Part>& parts) const {
  if (text.empty()) return;
  PartBuilder builder(text, parts);
  if (literal_.empty()) {
    for (size_t i = 0; i < text.size(); i += code_point_at(text, i).size) builder.match(i, i);
    builder.match(text.size(), text.size());
  } else {
    for (size_t i = text.find(literal_); i != std::string_view::npos; i = text.find(literal_, i + literal_.size())) {
      builder.match(i, i + literal_.size());
    }
  }
  builder.finish();
}

void CharacterPattern::find(std::string_view text, std::vector<Part>& parts) const {
  PartBuilder builder(text, parts);
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    if (accepts_(c.value)) builder.match(i, i + c.size);
    i += c.size;
  }
  builder.finish();
}

void WordPattern::find(std::string_view text, std::vector<Part>& parts) const {
  enum class Kind { space, word, sign };
  const auto kind_at = [&](size_t i) {
    const char32_t c = code_point_at(text, i).value;
    return is_word(c) ? Kind::word : is_whitespace(c) ? Kind::space : Kind::sign;
  };
  PartBuilder builder(text, parts);
  for (size_t begin = 0; begin < text.size();) {
    const Kind kind = kind_at(begin);
    size_t end = begin + code_point_at(text, begin).size;
    while (end < text.size() && kind_at(end) == kind) end += code_point_at(text, end).size;
    if (kind != Kind::space) builder.match(begin, end);
    begin = end;
  }
  builder.finish();
}

std::unique_ptr<const Pattern> make_pattern(const JsonView& view) {
  if (const auto regex = view.find("Regex")) {
    try {
      return std::make_unique<RegexPattern>(regex->string());
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::unsupported) regex->refuse(error.what());
      throw;
    }
  }
  return std::make_unique<LiteralPattern>(view.at("String").string());
}

std::optional<std::string> literal_of_pattern(const JsonView& view) {
  auto literal = view.optional_string("String");
  if (literal && literal->empty()) return std::nullopt;
  return literal;
}

std::string replace_all(std::string_view text, const Pattern& pattern, std::string_view content) {
  std::vector<Part> parts;
  pattern.find(text, parts);
  std::string result;
  for (const Part& part : parts) {
    result.append(part.matched ? content : text.substr(part.begin, part.end - part.begin));
    if (result.size() > kMaxGrowth * text.size() + kGrowthAllowance)
      fail(ErrorKind::exhausted, "a replacement makes a token {} times as long", kMaxGrowth);
  }
  return result;
}

}  // namespace nibble::tokenizer
