#include "chat/jinja/token.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

[[noreturn]] void bad_escape(int line, std::string_view message) {
  throw Failure(Fault::template_syntax_error, std::string(message), line);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lowered = static_cast<char>(c | 0x20);
  return lowered >= 'a' && lowered <= 'f' ? lowered - 'a' + 10 : -1;
}

/// Python's unicode-escape codec.
class Unescaper {
 public:
  Unescaper(std::string_view literal, int line) : rest_(literal), line_(line) {}

  std::string run() {
    while (!rest_.empty()) {
      const size_t backslash = std::min(rest_.find('\\'), rest_.size());
      text_ += rest_.substr(0, backslash);
      rest_.remove_prefix(backslash);
      if (!rest_.empty()) escape();
    }
    return std::move(text_);
  }

 private:
  void escape() {
    if (rest_.size() < 2) bad_escape(line_, "\\ at end of string");
    const char c = rest_[1];
    if (c == 'x') return hex(2, "truncated \\xXX escape");
    if (c == 'u') return hex(4, "truncated \\uXXXX escape");
    if (c == 'U') return hex(8, "truncated \\UXXXXXXXX escape");
    if (c == 'N') return named();
    if (c >= '0' && c <= '7') return octal();
    if (static_cast<unsigned char>(c) >= 0x80) return not_ascii();
    constexpr std::string_view letters = "\n\\'\"abfnrtv", meanings = "\0\\'\"\a\b\f\n\r\t\v";
    const size_t known = letters.find(c);
    if (known == std::string_view::npos) {
      text_ += rest_.substr(0, 2);
    } else if (c != '\n') {  // an escaped line end vanishes
      text_ += meanings[known];
    }
    rest_.remove_prefix(2);
  }

  void hex(size_t digits, std::string_view message) {
    if (rest_.size() < 2 + digits) bad_escape(line_, message);
    uint32_t code = 0;
    for (size_t i = 0; i < digits; ++i) {
      const int digit = hex_digit(rest_[2 + i]);
      if (digit < 0) bad_escape(line_, message);
      code = code << 4 | static_cast<uint32_t>(digit);
    }
    if (code > 0x10FFFF) bad_escape(line_, "illegal Unicode character");
    append_utf8(text_, code);
    rest_.remove_prefix(2 + digits);
  }

  void octal() {
    uint32_t code = 0;
    size_t size = 1;
    for (; size < rest_.size() && size < 4 && rest_[size] >= '0' && rest_[size] <= '7'; ++size)
      code = code * 8 + static_cast<uint32_t>(rest_[size] - '0');
    append_utf8(text_, code);
    rest_.remove_prefix(size);
  }

  void named() {
    const size_t end = rest_.find('}');
    if (rest_.size() < 4 || rest_[2] != '{' || end == std::string_view::npos || end == 3)
      bad_escape(line_, "malformed \\N character escape");
    const char32_t c = code_point_named(rest_.substr(3, end - 3));
    if (!c) bad_escape(line_, "unknown Unicode character name");
    append_utf8(text_, c);
    rest_.remove_prefix(end + 1);
  }

  /// Jinja rewrites what is not ASCII as an escape before decoding; the backslash in front then escapes that escape.
  void not_ascii() {
    size_t end = 1;
    const auto code = static_cast<uint32_t>(next_code_point(rest_, end));
    text_ += code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
    rest_.remove_prefix(end);
  }

  std::string_view rest_;
  int line_;
  std::string text_;
};

}  // namespace

std::string unescape_literal(std::string_view literal, int line) { return Unescaper(literal, line).run(); }

}  // namespace nibble::jinja
