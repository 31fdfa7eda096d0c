#include "chat/response/xml_value.hpp"

#include <utility>

#include "chat/response/json_text.hpp"
#include "chat/response/literal_reader.hpp"

namespace nibble {

namespace {

/// The JSON of a text that is one literal of JSON or Python, or nothing.
std::string json_of_literal(std::string_view text) {
  LiteralReader reader;
  std::string json;
  for (size_t i = 0; i < text.size(); ++i) {
    const ReadStep step = reader.push(text[i], json);
    if (step == ReadStep::done && i + 1 == text.size()) return json;
    if (step != ReadStep::more) return {};
  }
  return reader.finish(json) ? json : std::string();
}

}  // namespace

/// True when nothing but a text starts so.
bool XmlValue::is_text(char first) const {
  const bool known = types_.text || types_.other || types_.null;
  if (known && !types_.other && !types_.null) return true;
  if (known && !types_.text) return false;
  const std::string_view literals = types_.other || !known ? "-+.0123456789tfnTFN{[(\"'" : "nN";
  return literals.find(first) == std::string_view::npos;
}

void XmlValue::push(std::string_view text, std::string& json) {
  for (char c : text) {
    if (skip_line_end_ && c == '\r' && held_.empty()) continue;
    if (std::exchange(skip_line_end_, false) && c == '\n') continue;
    if (blank_ && !writes_text_ && !is_json_space(c)) {
      blank_ = false;
      writes_text_ = is_text(c);
      if (writes_text_) {
        json += '"';
        write_text(std::exchange(held_, {}), json);
      }
    }
    if (!writes_text_ && held_.size() >= kMaxHeld) {
      writes_text_ = true;
      json += '"';
      write_text(std::exchange(held_, {}), json);
    }
    if (writes_text_)
      write_text(std::string_view(&c, 1), json);
    else
      held_ += c;
  }
}

void XmlValue::write_text(std::string_view text, std::string& json) {
  for (char c : text) {
    if (line_ends_ && c == '\n' && (held_.empty() || held_ == "\r")) {
      held_ += c;
      continue;
    }
    for (char held : std::exchange(held_, {})) append_json_byte(held, json);
    if (line_ends_ && (c == '\n' || c == '\r'))
      held_ = c;
    else
      append_json_byte(c, json);
  }
}

void XmlValue::finish(std::string& json) {
  if (writes_text_) {
    if (held_ == "\r") json += "\\r";
    json += '"';
    return;
  }
  std::string_view value = held_;
  if (line_ends_ && value.ends_with('\n')) value.remove_suffix(1);
  if (line_ends_ && value.ends_with('\r')) value.remove_suffix(1);
  json += converted(value);
}

std::string XmlValue::converted(std::string_view value) const {
  const bool known = types_.text || types_.other || types_.null;
  const std::string_view bare = trimmed(value);
  std::string json = json_of_literal(bare);
  if (json == "null") {
    const bool means_null = (bare == "null" || bare == "None") && (types_.null || !types_.text);
    if (!means_null) json.clear();
  } else if (types_.text && !types_.other) {
    json.clear();
  }
  if (json.empty() && known && !types_.text && bare.empty()) return "null";
  if (json.empty()) append_json_text(value, json);
  return json;
}

}  // namespace nibble
