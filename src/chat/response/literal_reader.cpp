#include "chat/response/literal_reader.hpp"

#include <fmt/format.h>

#include <iterator>

#include "chat/response/json_text.hpp"

namespace nibble {

namespace {

bool is_word(char c) {
  const char letter = static_cast<char>(c | 0x20);
  return (c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'z') || c == '_' || c == '.' || c == '+' || c == '-';
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = static_cast<char>(c | 0x20);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : 99;
}

/// Letters that Python may put before a quote.
bool is_prefix(std::string_view word) {
  if (word.empty() || word.size() > 2) return false;
  for (char c : word)
    if (std::string_view("rbfu").find(static_cast<char>(c | 0x20)) == std::string_view::npos) return false;
  return true;
}

}  // namespace

ReadStep LiteralReader::push(char c, std::string& out) {
  switch (state_) {
    case State::value: return is_json_space(c) ? ReadStep::more : start_value(c, out, false);
    case State::element: return is_json_space(c) ? ReadStep::more : start_value(c, out, true);
    case State::key: return is_json_space(c) ? ReadStep::more : start_key(c, out);
    case State::colon:
      if (is_json_space(c)) return ReadStep::more;
      if (c != ':') return ReadStep::failed;
      out += ": ";
      state_ = State::value;
      return ReadStep::more;
    case State::after: return is_json_space(c) ? ReadStep::more : after_value(c, out);
    case State::quoting: return in_quoting(c, out);
    case State::text: return in_text(c, out);
    case State::escape: return in_escape(c, out);
    case State::code: return in_code(c, out);
    case State::word: return in_word(c, out);
    case State::done: break;
  }
  return ReadStep::failed;
}

bool LiteralReader::finish(std::string& out) {
  if (!open_.empty()) return false;
  if (state_ == State::done) return true;
  if (state_ == State::word) return end_word(out);
  return state_ == State::quoting && matched_ == 2 && (out += '"', true);
}

void LiteralReader::separate(std::string& out) {
  if (comma_) out += ", ";
  comma_ = false;
}

ReadStep LiteralReader::start_value(char c, std::string& out, bool may_close) {
  if (may_close && !open_.empty() && c == open_.back()) return close(c, out);
  if (c == '{' || c == '[' || c == '(') return open(c, out);
  const bool quote = c == '"' || c == '\'' || (!dialect_.quote.empty() && c == dialect_.quote[0]);
  if (!quote && !is_word(c)) return ReadStep::failed;
  in_key_ = false;
  separate(out);
  state_ = quote ? State::quoting : State::word;
  matched_ = quote ? 1 : 0;
  delimiter_.assign(1, c);
  word_.assign(quote ? 0 : 1, c);
  return ReadStep::more;
}

ReadStep LiteralReader::start_key(char c, std::string& out) {
  if (c == '}') return close(c, out);
  if (c == '{' || c == '[' || c == '(') return ReadStep::failed;
  const ReadStep step = start_value(c, out, false);
  in_key_ = true;
  return step;
}

ReadStep LiteralReader::after_value(char c, std::string& out) {
  if (c == open_.back()) return close(c, out);
  if (c != ',') return ReadStep::failed;
  comma_ = true;
  state_ = open_.back() == '}' ? State::key : State::element;
  return ReadStep::more;
}

ReadStep LiteralReader::open(char c, std::string& out) {
  if (open_.size() == kMaxDepth) return ReadStep::failed;
  separate(out);
  open_ += c == '{' ? '}' : c == '[' ? ']' : ')';
  out += c == '{' ? '{' : '[';
  state_ = c == '{' ? State::key : State::element;
  return ReadStep::more;
}

ReadStep LiteralReader::close(char c, std::string& out) {
  out += c == '}' ? '}' : ']';
  open_.pop_back();
  comma_ = false;
  return value_ended(true);
}

ReadStep LiteralReader::value_ended(bool with_this_byte) {
  state_ = open_.empty() ? State::done : in_key_ ? State::colon : State::after;
  in_key_ = false;
  if (!open_.empty()) return ReadStep::more;
  return with_this_byte ? ReadStep::done : ReadStep::before;
}

void LiteralReader::start_text(std::string_view delimiter) {
  delimiter_ = delimiter;
  escapes_ = delimiter != dialect_.quote;
  state_ = State::text;
  matched_ = 0;
}

// An opening quote has begun: one more of the same may end an empty text, two more open a long one.
ReadStep LiteralReader::in_quoting(char c, std::string& out) {
  const char quote = delimiter_[0];
  if (!dialect_.quote.empty() && quote == dialect_.quote[0]) {
    if (c != dialect_.quote[matched_]) return ReadStep::failed;
    if (++matched_ < dialect_.quote.size()) return ReadStep::more;
    out += '"';
    start_text(dialect_.quote);
    return ReadStep::more;
  }
  if (matched_ == 1) {
    out += '"';
    if (c == quote) return ++matched_, ReadStep::more;
    start_text(std::string(1, quote));
    return in_text(c, out);
  }
  if (c == quote) return start_text(std::string(3, quote)), ReadStep::more;
  out += '"';
  const ReadStep step = value_ended(false);
  return step == ReadStep::more ? push(c, out) : step;
}

ReadStep LiteralReader::in_text(char c, std::string& out) {
  if (c == delimiter_[matched_]) return ++matched_ == delimiter_.size() ? end_text(out) : ReadStep::more;
  for (size_t i = 0; i < matched_; ++i) put_plain(delimiter_[i], out);
  matched_ = 0;
  if (c == delimiter_[0]) return ++matched_, ReadStep::more;
  if (c == '\\' && escapes_)
    state_ = State::escape;
  else
    put_plain(c, out);
  return ReadStep::more;
}

ReadStep LiteralReader::end_text(std::string& out) {
  flush_surrogate(out);
  out += '"';
  return value_ended(true);
}

ReadStep LiteralReader::in_escape(char c, std::string& out) {
  state_ = State::text;
  const auto start_code = [&](size_t digits, unsigned base, char32_t value) {
    state_ = State::code, code_digits_ = digits, code_base_ = base, code_ = value;
    return ReadStep::more;
  };
  if (c != 'u') flush_surrogate(out);
  switch (c) {
    case 'u': return start_code(4, 16, 0);
    case 'x': return start_code(2, 16, 0);
    case 'U': return start_code(8, 16, 0);
    case '0':
    case '1':
    case '2':
    case '3': return start_code(2, 8, static_cast<char32_t>(c - '0'));
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': (out += '\\') += c; break;
    case '\'': out += c; break;
    case 'a': put_code(7, out); break;
    case 'v': put_code(11, out); break;
    case '\n': break;
    default: out += "\\\\", put_plain(c, out); break;
  }
  return ReadStep::more;
}

ReadStep LiteralReader::in_code(char c, std::string& out) {
  const int digit = digit_value(c);
  if (digit >= static_cast<int>(code_base_)) {
    if (code_base_ == 16) return ReadStep::failed;
    put_code(code_, out);  // an octal escape may be short
    state_ = State::text;
    return in_text(c, out);
  }
  code_ = code_ * code_base_ + static_cast<char32_t>(digit);
  if (--code_digits_ > 0) return ReadStep::more;
  put_code(code_, out);
  state_ = State::text;
  return ReadStep::more;
}

void LiteralReader::put_code(char32_t code, std::string& out) {
  const bool low = code >= 0xDC00 && code < 0xE000;
  if (low && surrogate_ != 0) {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}\\u{:04x}", static_cast<unsigned>(surrogate_), static_cast<unsigned>(code));
    surrogate_ = 0;
    return;
  }
  flush_surrogate(out);
  if (code >= 0xD800 && code < 0xDC00) {
    surrogate_ = code;
  } else if (low || code > 0x10FFFF) {
    out += "\\ufffd";
  } else if (code >= 0x10000) {
    const unsigned rest = static_cast<unsigned>(code - 0x10000);
    fmt::format_to(std::back_inserter(out), "\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
  } else {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(code));
  }
}

void LiteralReader::flush_surrogate(std::string& out) {
  if (surrogate_ != 0) out += "\\ufffd";
  surrogate_ = 0;
}

void LiteralReader::put_plain(char c, std::string& out) {
  flush_surrogate(out);
  append_json_byte(c, out);
}

ReadStep LiteralReader::in_word(char c, std::string& out) {
  if (is_word(c) || (dialect_.bare_words && static_cast<unsigned char>(c) >= 0x80)) {
    word_ += c;
    return word_.size() > kMaxWord ? ReadStep::failed : ReadStep::more;
  }
  if ((c == '"' || c == '\'') && is_prefix(word_)) {
    state_ = State::quoting;
    matched_ = 1;
    delimiter_.assign(1, c);
    return ReadStep::more;
  }
  if (!end_word(out)) return ReadStep::failed;
  const ReadStep step = value_ended(false);
  return step == ReadStep::more ? push(c, out) : step;
}

bool LiteralReader::end_word(std::string& out) {
  const std::string json = json_of_word(word_);
  if (json.empty() && !dialect_.bare_words && !in_key_) return false;
  if (in_key_ || json.empty())
    ((out += '"') += word_) += '"';
  else
    out += json;
  return true;
}

}  // namespace nibble
