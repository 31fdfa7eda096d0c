#include <algorithm>
#include <array>

#include "chat/jinja/numbers.hpp"
#include "chat/jinja/token.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

/// One kind of line end, and none at the very end.
std::string normalized(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
      continue;
    }
    text += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool is_digit_of(char c, int base) {
  if (base == 16) return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
  return c >= '0' && c < '0' + base;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)) {}

  std::vector<Token> run() {
    try {
      while (at_ < source_.size()) read_text();
      push(TokenType::end, "");
    } catch (const Failure& failure) {
      push(TokenType::error, failure.what());
      tokens_.back().line = failure.line() ? failure.line() : line_;
    }
    return std::move(tokens_);
  }

 private:
  enum class Begin { block, variable, comment };

  std::string_view rest() const { return std::string_view(source_).substr(at_); }

  void push(TokenType type, std::string_view text) { tokens_.push_back({type, line_, std::string(text), {}}); }

  void advance(size_t size) {
    line_ += static_cast<int>(
        std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_), source_.begin() + static_cast<std::ptrdiff_t>(at_ + size), '\n'));
    at_ += size;
  }

  [[noreturn]] void error(const std::string& message) const { throw Failure(Fault::template_syntax_error, message, line_); }

  /// Position of the next {{, {% or {#.
  size_t next_begin() const {
    for (size_t i = source_.find('{', at_); i != std::string::npos; i = source_.find('{', i + 1))
      if (i + 1 < source_.size() && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
    return source_.size();
  }

  /// Emits the text up to `end`, stripped as the tag that follows with its sign asks.
  void emit_data(size_t end, char sign, bool strip_line) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    if (sign == '-') {
      text = strip(text, nullptr, false, true);
    } else if (sign != '+' && strip_line) {
      const size_t newline = text.rfind('\n');
      const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
      if ((line > 0 || line_starting_) && strip(text.substr(line), nullptr, true, false).empty()) text = text.substr(0, line);
    }
    if (!text.empty()) push(TokenType::data, text);
    advance(end - at_);
  }

  char sign_at(size_t position) const {
    const char c = position < source_.size() ? source_[position] : '\0';
    return c == '-' || c == '+' ? c : '\0';
  }

  void read_text() {
    const size_t begin = next_begin();
    if (begin == source_.size()) return emit_data(begin, '+', false);
    const char kind = source_[begin + 1];
    const char sign = sign_at(begin + 2);
    emit_data(begin, sign, kind != '{');
    if (kind == '%' && read_raw()) return;
    advance(sign ? 3 : 2);
    line_starting_ = false;
    if (kind == '#') return read_comment();
    push(kind == '%' ? TokenType::block_begin : TokenType::variable_begin, "");
    read_code(kind == '%');
  }

  size_t skip_spaces(size_t position) const {
    const std::string_view text = std::string_view(source_).substr(position);
    return position + (text.size() - strip(text, nullptr, true, false).size());
  }

  /// Moves behind a closing tag whose text ends at `position`, with the white space that it takes along.
  void close(size_t position, bool minus, bool trim) {
    if (minus) {
      position = skip_spaces(position);
    } else if (trim && position < source_.size() && source_[position] == '\n') {
      ++position;
    }
    advance(position - at_);
    line_starting_ = source_[position - 1] == '\n';
  }

  void read_comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos && at_ == source_.size()) return;  // nothing behind it: Jinja does not mind
    if (end == std::string::npos) error("Missing end of comment tag");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    close(end + 2, sign == '-', sign != '+');
  }

  /// The position behind "{% name" at `position`, or npos when something else stands there.
  size_t match_tag(size_t position, std::string_view name) const {
    if (source_.compare(position, 2, "{%") != 0) return std::string::npos;
    position = skip_spaces(position + (sign_at(position + 2) ? 3 : 2));
    if (source_.compare(position, name.size(), name) != 0) return std::string::npos;
    return skip_spaces(position + name.size());
  }

  bool read_raw() {
    const size_t inside = match_tag(at_, "raw");
    if (inside == std::string::npos) return false;
    const bool minus = source_.compare(inside, 3, "-%}") == 0;
    if (!minus && source_.compare(inside, 2, "%}") != 0) return false;
    close(inside + (minus ? 3 : 2), minus, false);
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
      const size_t end = match_tag(tag, "endraw");
      if (end == std::string::npos) continue;
      const char sign = sign_at(end);
      if (source_.compare(end + (sign ? 1 : 0), 2, "%}") != 0) continue;
      emit_data(tag, sign_at(tag + 2), true);
      close(end + (sign ? 3 : 2), sign == '-', sign != '+');
      return true;
    }
    if (at_ == source_.size()) return true;
    error("Missing end of raw directive");
  }

  /// The size of the closing tag here, or 0.
  size_t closing(bool block) const {
    const std::string_view text = rest();
    const std::string_view end = block ? "%}" : "}}";
    if (text.starts_with(end)) return 2;
    const bool sign = text.starts_with('-') || (block && text.starts_with('+'));
    return sign && text.substr(1).starts_with(end) ? 3 : 0;
  }

  void read_code(bool block) {
    std::string open;
    while (at_ < source_.size()) {
      if (const size_t size = closing(block); size && open.empty()) {
        const char sign = size == 3 ? source_[at_] : '\0';
        push(block ? TokenType::block_end : TokenType::variable_end, "");
        return close(at_ + size, sign == '-', block && sign != '+');
      }
      size_t position = at_;
      if (is_space(next_code_point(source_, position))) {
        advance(position - at_);
      } else if (!read_number() && !read_name() && !read_string()) {
        read_operator(open);
      }
    }
  }

  /// The end of digits with single underscores between them, from `position`.
  size_t digits_end(size_t position, int base) const {
    size_t end = position;
    while (end < source_.size() && is_digit_of(source_[end], base)) {
      ++end;
      if (end + 1 < source_.size() && source_[end] == '_' && is_digit_of(source_[end + 1], base)) ++end;
    }
    return end;
  }

  /// The end of a float at the current position, or npos.
  size_t float_end() const {
    if (at_ > 0 && source_[at_ - 1] == '.') return std::string::npos;
    size_t end = digits_end(at_, 10);
    bool found = false;
    if (end < source_.size() && source_[end] == '.' && digits_end(end + 1, 10) > end + 1) {
      end = digits_end(end + 1, 10);
      found = true;
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      const size_t digits = end + (end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-') ? 2 : 1);
      if (digits_end(digits, 10) > digits) return digits_end(digits, 10);
    }
    return found ? end : std::string::npos;
  }

  size_t integer_end() const {
    const char second = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
    if (source_[at_] != '0') return digits_end(at_, 10);
    const int base = second == 'x' ? 16 : second == 'o' ? 8 : second == 'b' ? 2 : 0;
    if (base) {
      size_t digits = at_ + 2;
      if (digits < source_.size() && source_[digits] == '_') ++digits;
      if (digits_end(digits, base) > digits) return digits_end(digits, base);
    }
    return digits_end(at_, 1);  // only zeros
  }

  bool read_number() {
    if (!is_digit_of(source_[at_], 10)) return false;
    const size_t real = float_end();
    const bool is_real = real != std::string::npos;
    const std::string_view text = rest().substr(0, (is_real ? real : integer_end()) - at_);
    Token token{is_real ? TokenType::real : TokenType::integer, line_, std::string(text), {}};
    if (is_real) {
      token.number = *parse_float(text);
    } else {
      token.number = *parse_integer(text, 0);
    }
    tokens_.push_back(std::move(token));
    advance(text.size());
    return true;
  }

  bool read_name() {
    size_t end = at_;
    for (size_t next = end; next < source_.size() && is_word(next_code_point(source_, next));) end = next;
    if (end == at_) return false;
    const std::string_view name = rest().substr(0, end - at_);
    if (!is_identifier(name)) error("Invalid character in identifier");
    push(TokenType::name, name);
    advance(name.size());
    return true;
  }

  bool read_string() {
    const char quote = source_[at_];
    if (quote != '\'' && quote != '"') return false;
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return false;
    push(TokenType::string, unescape_literal(rest().substr(1, end - at_ - 1), line_));
    advance(end + 1 - at_);
    return true;
  }

  void read_operator(std::string& open) {
    constexpr std::array<std::string_view, 26> operators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                                            "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    auto found = std::find_if(operators.begin(), operators.end(), [&](std::string_view op) { return rest().starts_with(op); });
    if (found == operators.end()) unexpected_character();
    const char c = (*found)[0];
    if (c == '{' || c == '(' || c == '[') open += c == '{' ? '}' : c == '(' ? ')' : ']';
    if (c == '}' || c == ')' || c == ']') {
      if (open.empty()) error(fmt::format("unexpected '{}'", c));
      if (open.back() != c) error(fmt::format("unexpected '{}', expected '{}'", c, open.back()));
      open.pop_back();
    }
    push(TokenType::op, *found);
    advance(found->size());
  }

  [[noreturn]] void unexpected_character() const {
    size_t end = at_;
    next_code_point(source_, end);
    const std::string_view character = rest().substr(0, end - at_);
    const char quote = character == "'" ? '"' : '\'';
    error(fmt::format("unexpected char {}{}{} at {}", quote, character == "\\" ? "\\\\" : character, quote,
                      count_code_points(std::string_view(source_).substr(0, at_))));
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string describe(const Token& token) {
  switch (token.type) {
    case TokenType::name:
    case TokenType::op: return token.text;
    case TokenType::data: return "template data / text";
    case TokenType::block_begin: return "begin of statement block";
    case TokenType::block_end: return "end of statement block";
    case TokenType::variable_begin: return "begin of print statement";
    case TokenType::variable_end: return "end of print statement";
    case TokenType::string: return "string";
    case TokenType::integer: return "integer";
    case TokenType::real: return "float";
    case TokenType::end: return "end of template";
    case TokenType::error: return "error";
  }
  return "";
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace nibble::jinja
