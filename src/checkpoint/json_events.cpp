#include "checkpoint/json_events.hpp"

#include "base/fail.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

void JsonEvents::parse(std::string_view text) {
  // The parser takes a zero byte for the end of its input, and would ignore what follows.
  if (size_t zero = text.find('\0'); zero != std::string_view::npos)
    fail(ErrorKind::corrupt, "{}: not valid JSON: zero byte at byte {}", where_, zero);
  nlohmann::json::sax_parse(text, static_cast<nlohmann::json_sax<nlohmann::json>*>(this));
}

bool JsonEvents::skipped(int step) {
  if (!skipping_) return false;
  skipped_depth_ += static_cast<size_t>(step);
  skipping_ = skipped_depth_ > 0;
  return true;
}

bool JsonEvents::number_unsigned(number_unsigned_t value) {
  if (!skipped(0)) on_unsigned(value);
  return true;
}

bool JsonEvents::string(string_t& value) {
  if (!skipped(0)) on_string(value);
  return true;
}

bool JsonEvents::key(string_t& key) {
  if (!skipping_) on_key(key);
  return true;
}

bool JsonEvents::other(std::string_view what) {
  if (!skipped(0)) on_other(what);
  return true;
}

bool JsonEvents::open(char bracket) {
  if (!skipped(1)) on_open(bracket);
  return true;
}

bool JsonEvents::close(char bracket) {
  if (!skipped(-1)) on_close(bracket);
  return true;
}

bool JsonEvents::parse_error(size_t position, const std::string& token, const nlohmann::json::exception&) {
  fail(ErrorKind::corrupt, "{}: not valid JSON at byte {}, near {}", where_, position, shown(token));
}

}  // namespace nibble
