#include <algorithm>
#include <array>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/attributes.hpp"
#include "chat/jinja/json.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

Value default_value(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "default", {"value", "default_value", "boolean"}, 1);
  const bool replace = a[0].is_undefined() || (a.has(2) && truth(run, a[2]) && !truth(run, a[0]));
  if (!replace) return a[0];
  return a.has(1) ? a[1] : run.string("");
}

Value attribute(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "attr", {"obj", "name"}, 2);
  const Value name = to_string(run, a[1]);
  // Unlike a dot it never falls back to an item.
  if (python_attribute(run, a[0], name.text())) return get_attribute(run, a[0], name.text());
  return run.undefined(fmt::format("'{} object' has no attribute {}", type_name(a[0]), repr(run, name)));
}

void read_indent(Run& run, const Value& indent, JsonStyle& style) {
  if (indent.is_missing() || indent.is_none()) return;
  style.indented = true;
  style.item_separator.assign(1, ',');
  if (indent.is_string()) {
    style.indent = indent.text();
    return;
  }
  const int64_t width = std::max<int64_t>(to_index(indent), 0);
  TextBuilder spaces(run);
  spaces.repeat(" ", static_cast<uint64_t>(width));
  style.indent = spaces.take();
}

Value tojson(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "tojson", {"x", "ensure_ascii", "indent", "separators", "sort_keys"}, 1);
  JsonStyle style;
  style.ensure_ascii = a.has(1) && truth(run, a[1]);
  read_indent(run, a[2], style);
  if (a.has(3) && !a[3].is_none()) {
    const std::vector<Value> parts = elements(run, a[3]);
    if (parts.size() != 2) refuse(Fault::value_error, "{} values to unpack (expected 2)", parts.size() < 2 ? "not enough" : "too many");
    style.item_separator = text_argument(parts[0], "tojson");
    style.key_separator = text_argument(parts[1], "tojson");
  }
  style.sort_keys = a.has(4) && truth(run, a[4]);
  return write_json(run, a[0], style);
}

/// Python's pprint.pformat with its width of 80: what does not fit on a line goes one element a line, dicts by key.
class PrettyPrinter {
 public:
  explicit PrettyPrinter(Run& run) : run_(run), text_(run) {}

  Value print(const Value& value) {
    put(with_sorted_keys(value), 0, 0);
    return text_.value();
  }

 private:
  static constexpr size_t width = 80;

  /// The value with the keys of all dicts inside in order.
  Value with_sorted_keys(const Value& value) {
    run_.step();
    if (value.is_list() || value.is_tuple()) {
      std::vector<Value> items;
      for (const Value& item : value.items()) items.push_back(with_sorted_keys(item));
      return value.is_list() ? run_.list(std::move(items)) : run_.tuple(std::move(items));
    }
    if (!value.is_dict()) return value;
    std::vector<Value> keys = elements(run_, value);
    if (std::all_of(keys.begin(), keys.end(), [](const Value& key) { return key.is_string(); }))
      keys = sorted(
          run_, std::move(keys), [](const Value& key) { return key; }, false);
    DictBuilder dict(run_);
    for (const Value& key : keys) dict.set(key, with_sorted_keys(*find(run_, value.dict(), key)));
    return dict.value();
  }

  /// `column`: where the text starts; `after`: what must fit behind it.
  void put(const Value& value, size_t column, size_t after) {
    const std::string line = repr(run_, value);
    const bool container = value.is_dict() || value.is_list() || value.is_tuple();
    if (!container || column + count_code_points(line) + after <= width) {
      text_ += line;
    } else if (value.is_dict()) {
      put_entries(value, column, after);
    } else {
      put_items(value, column, after);
    }
  }

  void new_line(size_t column) {
    text_ += ",\n";
    text_.repeat(" ", column);
  }

  void put_entries(const Value& value, size_t column, size_t after) {
    const auto& entries = value.dict().entries;
    text_ += '{';
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i) new_line(column + 1);
      const std::string key = repr(run_, entries[i].first) + ": ";
      text_ += key;
      put(entries[i].second, column + 1 + count_code_points(key), i + 1 == entries.size() ? after + 1 : 1);
    }
    text_ += '}';
  }

  void put_items(const Value& value, size_t column, size_t after) {
    const auto& items = value.items();
    text_ += value.is_list() ? '[' : '(';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) new_line(column + 1);
      put(items[i], column + 1, i + 1 == items.size() ? after + 1 : 1);
    }
    text_ += value.is_list() ? "]" : items.size() == 1 ? ",)" : ")";
  }

  Run& run_;
  TextBuilder text_;
};

Value pprint(Run& run, Arguments& arguments) { return PrettyPrinter(run).print(bind(arguments, "pprint", {"value"}, 1)[0]); }

constexpr std::array filters = {
    Filter{"default", default_value}, Filter{"d", default_value}, Filter{"attr", attribute},
    Filter{"tojson", tojson},         Filter{"pprint", pprint},
};

}  // namespace

std::span<const Filter> value_filters() { return filters; }

}  // namespace nibble::jinja
