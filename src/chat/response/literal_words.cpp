#include <algorithm>
#include <charconv>

#include "chat/response/literal_reader.hpp"

namespace nibble {

namespace {

struct Constant {
  std::string_view word, json;
};
constexpr Constant kConstants[] = {{"true", "true"},     {"True", "true"}, {"false", "false"},    {"False", "false"},
                                   {"null", "null"},     {"None", "null"}, {"NaN", "null"},       {"nan", "null"},
                                   {"Infinity", "null"}, {"inf", "null"},  {"-Infinity", "null"}, {"-inf", "null"}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

size_t skip_digits(std::string_view text, size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

/// 0x1F, 0o17, 0b11 in decimal.
std::string other_base(std::string_view digits) {
  if (digits.size() < 3 || digits[0] != '0') return {};
  const char mark = static_cast<char>(digits[1] | 0x20);
  const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  if (base == 0) return {};
  unsigned long long value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data() + 2, end, value, base);
  return error == std::errc() && stop == end ? std::to_string(value) : std::string();
}

/// The exponent at `at` with its letter, or nothing; `at` moves to the end.
std::string exponent(std::string_view text, size_t& at) {
  const size_t start = at++;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  const size_t digits = at;
  at = skip_digits(text, at);
  return at == digits ? std::string() : std::string(text.substr(start, at - start));
}

/// A decimal number; Python may leave out the digits before or behind the point.
std::string decimal(std::string_view text) {
  const size_t whole = skip_digits(text, 0);
  if (whole > 1 && text[0] == '0') return {};
  std::string json(text.substr(0, whole));
  size_t at = whole;
  if (at < text.size() && text[at] == '.') {
    const size_t end = skip_digits(text, at + 1);
    if (whole == 0 && end == at + 1) return {};
    json = (whole == 0 ? "0" : json) + (end == at + 1 ? ".0" : std::string(text.substr(at, end - at)));
    at = end;
  } else if (whole == 0) {
    return {};
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    const std::string power = exponent(text, at);
    if (power.empty()) return {};
    json += power;
  }
  return at == text.size() ? json : std::string();
}

/// The JSON of a number, or null where it is beyond what a double holds: readers of JSON refuse those.
std::string bounded(std::string json) {
  double value = 0;
  const auto [end, error] = std::from_chars(json.data(), json.data() + json.size(), value);
  const bool overflows =
      error == std::errc::result_out_of_range && json.find("e-") == std::string::npos && json.find("E-") == std::string::npos;
  return overflows ? "null" : json;
}

}  // namespace

std::string json_of_word(std::string_view word) {
  for (const Constant& constant : kConstants)
    if (word == constant.word) return std::string(constant.json);
  const bool negative = word.starts_with('-');
  if (negative || word.starts_with('+')) word.remove_prefix(1);
  if (word.empty() || !(is_digit(word[0]) || word[0] == '.')) return {};
  std::string digits(word);
  std::erase(digits, '_');
  std::string json = other_base(digits);
  if (json.empty()) json = decimal(digits);
  if (!json.empty()) json = bounded(std::move(json));
  return json.empty() || json == "null" || !negative ? json : "-" + json;
}

}  // namespace nibble
