#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

Value to_string(Run& run, const Value& value) {
  if (value.is_string()) return value;
  TextBuilder text(run);
  append_string(text, run, value);
  return text.value();
}

void append_string(TextBuilder& text, Run& run, const Value& value) {
  if (value.is_undefined()) return;
  if (value.is_string()) {
    text += value.text();
  } else {
    append_repr(text, run, value);
  }
}

namespace {

void append_escaped(TextBuilder& text, char32_t c, char quote) {
  switch (c) {
    case '\n': text += "\\n"; return;
    case '\r': text += "\\r"; return;
    case '\t': text += "\\t"; return;
    case '\\': text += "\\\\"; return;
    default: break;
  }
  if (c == static_cast<char32_t>(quote)) {
    text += '\\';
    text += quote;
  } else if (is_printable(c)) {
    std::string utf8;
    append_utf8(utf8, c);
    text += utf8;
  } else {
    const auto code = static_cast<uint32_t>(c);
    text += c < 0x100 ? fmt::format("\\x{:02x}", code) : c < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
  }
}

void append_items(TextBuilder& text, Run& run, const std::vector<Value>& items) {
  std::string_view separator;
  for (const Value& item : items) {
    text += separator;
    append_repr(text, run, item);
    separator = ", ";
  }
}

void append_dict(TextBuilder& text, Run& run, const DictData& dict) {
  std::string_view separator = "{";
  for (const auto& [key, value] : dict.entries) {
    text += separator;
    append_repr(text, run, key);
    text += ": ";
    append_repr(text, run, value);
    separator = ", ";
  }
  text += dict.entries.empty() ? "{}" : "}";
}

}  // namespace

void append_quoted(TextBuilder& text, std::string_view content) {
  const bool single = content.find('\'') != std::string_view::npos, twofold = content.find('"') != std::string_view::npos;
  const char quote = single && !twofold ? '"' : '\'';
  text += quote;
  for (size_t i = 0; i < content.size();) append_escaped(text, next_code_point(content, i), quote);
  text += quote;
}

void append_repr(TextBuilder& text, Run& run, const Value& value) {
  run.step();
  if (value.is_string()) {
    run.step(value.text().size() / 4);
    if (value.is_markup()) text += "Markup(";
    append_quoted(text, value.text());
    if (value.is_markup()) text += ")";
  } else if (value.is_none()) {
    text += "None";
  } else if (value.is_bool()) {
    text += value.boolean() ? "True" : "False";
  } else if (value.is_integer()) {
    if (value.is_big()) run.step(1000);
    text += integer_text(value);
  } else if (value.is_float()) {
    text += float_repr(value.real());
  } else if (value.is_list()) {
    text += "[";
    append_items(text, run, value.items());
    text += "]";
  } else if (value.is_tuple()) {
    text += "(";
    append_items(text, run, value.items());
    text += value.items().size() == 1 ? ",)" : ")";
  } else if (value.is_dict()) {
    append_dict(text, run, value.dict());
  } else if (value.is_object()) {
    Run::Nesting level(run);
    text += value.object()->repr(run);
  } else {
    text += "Undefined";
  }
}

std::string repr(Run& run, const Value& value) {
  TextBuilder text(run);
  append_repr(text, run, value);
  return text.take();
}

}  // namespace nibble::jinja
