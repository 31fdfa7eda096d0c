#include <cmath>

#include "chat/jinja/json.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

class Writer {
 public:
  Writer(Run& run, const JsonStyle& style) : run_(run), style_(style), text_(run) {}

  Value write(const Value& value) {
    put(value, 0);
    return text_.value();
  }

 private:
  void put(const Value& value, size_t level) {
    run_.step();
    if (value.is_string()) {
      put_text(value.text());
    } else if (value.is_list() || value.is_tuple()) {
      put_items(value.items(), level);
    } else if (value.is_dict()) {
      put_dict(value, level);
    } else {
      text_ += scalar(value);
    }
  }

  std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.boolean() ? "true" : "false";
    if (value.is_integer()) return integer_text(value);
    if (!value.is_float()) refuse(Fault::type_error, "Object of type {} is not JSON serializable", type_name(value));
    if (std::isfinite(value.real())) return float_repr(value.real());
    return std::isnan(value.real()) ? "NaN" : value.real() > 0 ? "Infinity" : "-Infinity";
  }

  void new_line(size_t level) {
    if (!style_.indented) return;
    text_ += '\n';
    text_.repeat(style_.indent, level);
  }

  void put_items(const std::vector<Value>& items, size_t level) {
    if (items.empty()) {
      text_ += "[]";
      return;
    }
    text_ += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) text_ += style_.item_separator;
      new_line(level + 1);
      put(items[i], level + 1);
    }
    new_line(level);
    text_ += ']';
  }

  std::vector<Value> keys(const Value& dict) {
    std::vector<Value> result = elements(run_, dict);
    if (!style_.sort_keys) return result;
    return sorted(
        run_, std::move(result), [](const Value& key) { return key; }, false);
  }

  void put_dict(const Value& value, size_t level) {
    if (value.dict().entries.empty()) {
      text_ += "{}";
      return;
    }
    text_ += '{';
    bool first = true;
    for (const Value& key : keys(value)) {
      if (!first) text_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      put_key(key);
      text_ += style_.key_separator;
      put(*find(run_, value.dict(), key), level + 1);
    }
    new_line(level);
    text_ += '}';
  }

  void put_key(const Value& key) {
    if (!key.is_string() && !key.is_number() && !key.is_none())
      refuse(Fault::type_error, "keys must be str, int, float, bool or None, not {}", type_name(key));
    put_text(key.is_string() ? key.text() : scalar(key));
  }

  void put_text(std::string_view content) {
    run_.step(content.size() / 8);
    text_ += '"';
    for (size_t i = 0; i < content.size();) {
      const size_t start = i;
      const char32_t c = next_code_point(content, i);
      if (std::string_view escape = short_escape(c); !escape.empty()) {
        text_ += escape;
      } else if (c < 0x20 || (style_.ensure_ascii && c > 0x7E)) {
        put_code(c);
      } else {
        text_ += content.substr(start, i - start);
      }
    }
    text_ += '"';
  }

  static std::string_view short_escape(char32_t c) {
    switch (c) {
      case '"': return "\\\"";
      case '\\': return "\\\\";
      case '\n': return "\\n";
      case '\r': return "\\r";
      case '\t': return "\\t";
      case '\f': return "\\f";
      case '\b': return "\\b";
      default: return {};
    }
  }

  void put_code(char32_t c) {
    if (c >= 0x10000) {
      const char32_t rest = c - 0x10000;
      put_code(0xD800 + (rest >> 10));
      put_code(0xDC00 + (rest & 0x3FF));
      return;
    }
    text_ += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  }

  Run& run_;
  const JsonStyle& style_;
  TextBuilder text_;
};

}  // namespace

Value write_json(Run& run, const Value& value, const JsonStyle& style) { return Writer(run, style).write(value); }

}  // namespace nibble::jinja
