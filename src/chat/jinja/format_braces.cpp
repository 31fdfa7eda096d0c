#include <array>

#include "chat/jinja/attributes.hpp"
#include "chat/jinja/format.hpp"
#include "chat/jinja/markup.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"

namespace nibble::jinja {

namespace {

bool all_digits(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

/// str.format as Python's string.Formatter does it, with attribute access through the sandbox.
class BraceFormatter {
 public:
  BraceFormatter(Run& run, bool markup, const std::vector<Value>& positional, const Value& named)
      : run_(run), markup_(markup), positional_(positional), named_(named) {}

  std::string format(std::string_view text, int levels = 2) {
    if (levels < 0) refuse(Fault::value_error, "Max string recursion exceeded");
    TextBuilder result(run_);
    while (!text.empty()) {
      run_.step();
      const size_t brace = std::min(text.find_first_of("{}"), text.size());
      result += text.substr(0, brace);
      text.remove_prefix(brace);
      if (text.empty()) break;
      if (text.size() > 1 && text[1] == text[0]) {
        result += text[0];
        text.remove_prefix(2);
      } else {
        text.remove_prefix(replace(result, text, levels));
      }
    }
    return result.take();
  }

 private:
  /// Replaces the field that `text` starts with and returns its size.
  size_t replace(TextBuilder& result, std::string_view text, int levels) {
    if (text[0] == '}') refuse(Fault::value_error, "Single '}}' encountered in format string");
    const size_t size = field_size(text);
    std::string_view field = text.substr(1, size - 2), spec, conversion;
    const size_t end = name_end(field);
    std::string_view name = field.substr(0, end);
    field.remove_prefix(end);
    if (field.starts_with('!')) {
      conversion = field.substr(1, 1);
      field.remove_prefix(std::min<size_t>(2, field.size()));
      if (conversion.empty() || (!field.empty() && field[0] != ':')) refuse(Fault::value_error, "expected ':' after conversion specifier");
    }
    if (field.starts_with(':')) spec = field.substr(1);
    Value value = converted(lookup(name), conversion);
    result += formatted(value, format(spec, levels - 1));
    return size;
  }

  static size_t field_size(std::string_view text) {
    int depth = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
      if (depth == 0) return i + 1;
    }
    refuse(Fault::value_error, "expected '}}' before end of string");
  }

  static size_t name_end(std::string_view field) {
    for (size_t i = 0; i < field.size(); ++i) {
      if (field[i] == '[') i = std::min(field.find(']', i), field.size() - 1);
      if (field[i] == '!' || field[i] == ':') return i;
    }
    return field.size();
  }

  Value lookup(std::string_view name) {
    if (name.find('{') != std::string_view::npos) refuse(Fault::value_error, "unexpected '{{' in field name");
    const size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, end));
    for (std::string_view rest = name.substr(end); !rest.empty();) {
      const bool attribute = rest[0] == '.';
      const size_t stop = attribute ? std::min(rest.find_first_of(".[", 1), rest.size()) : rest.find(']');
      if (stop == std::string_view::npos || (!attribute && rest[0] != '[')) refuse(Fault::value_error, "Missing ']' in format string");
      const std::string_view part = rest.substr(1, stop - 1);
      if (part.empty()) refuse(Fault::value_error, "Empty attribute in format string");
      value = attribute ? get_attribute(run_, value, part) : get_item(run_, value, index(part));
      rest.remove_prefix(attribute ? stop : stop + 1);
    }
    return value;
  }

  Value index(std::string_view part) {
    if (all_digits(part)) return *parse_integer(part, 10);
    return run_.string(std::string(part));
  }

  Value first(std::string_view name) {
    if (name.empty() || all_digits(name)) {
      const bool automatic = name.empty();
      if (numbering_ != Numbering::unknown && (numbering_ == Numbering::automatic) != automatic)
        refuse(Fault::value_error, "cannot switch between manual field specification and automatic field numbering");
      numbering_ = automatic ? Numbering::automatic : Numbering::manual;
      const int64_t position = automatic ? static_cast<int64_t>(next_++) : to_index(*parse_integer(name, 10));
      if (position >= static_cast<int64_t>(positional_.size())) refuse(Fault::index_error, "tuple index out of range");
      return positional_[static_cast<size_t>(position)];
    }
    Value key = run_.string(std::string(name));
    const Value* found = named_.is_dict() ? find(run_, named_.dict(), key) : nullptr;
    if (!found) refuse(Fault::key_error, "{}", repr(run_, key));
    return *found;
  }

  Value converted(Value value, std::string_view conversion) {
    if (conversion.empty()) return value;
    if (conversion == "s") return to_string(run_, value);
    if (conversion == "r" || conversion == "a") return run_.string(repr(run_, value));
    refuse(Fault::value_error, "Unknown conversion specifier {}", conversion);
  }

  std::string formatted(const Value& value, const std::string& spec) {
    if (!markup_) return format_value(run_, value, spec);
    if (value.is_markup()) {
      if (!spec.empty()) refuse(Fault::value_error, "Format specifier {} given, but Markup does not define __html_format__.", spec);
      return value.text();
    }
    return escape(run_, run_.string(format_value(run_, value, spec))).text();
  }

  enum class Numbering { unknown, automatic, manual };
  Run& run_;
  bool markup_;
  const std::vector<Value>& positional_;
  const Value& named_;
  Numbering numbering_ = Numbering::unknown;
  size_t next_ = 0;
};

Value format(Run& run, const Value& self, Arguments& arguments) {
  DictBuilder named(run);
  for (auto& [name, value] : arguments.named) named.set(run.string(name), value);
  const Value names = named.value();
  return run.string(BraceFormatter(run, self.is_markup(), arguments.positional, names).format(self.text()), self.is_markup());
}

Value format_map(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "format_map", {""}, 1);
  return run.string(BraceFormatter(run, self.is_markup(), {}, a[0]).format(self.text()), self.is_markup());
}

constexpr std::array methods = {Method{"format", format}, Method{"format_map", format_map}};

}  // namespace

std::span<const Method> format_methods() { return methods; }

}  // namespace nibble::jinja
