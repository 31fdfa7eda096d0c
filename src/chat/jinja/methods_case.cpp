#include <array>

#include "chat/jinja/methods.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

template <std::string (*mapping)(std::string_view)>
Value mapped(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "str method", {});
  run.step(self.text().size());
  return run.string(mapping(self.text()), self.is_markup());
}

/// True when the text is not empty and every code point has the property.
template <bool (*property)(char32_t)>
Value every(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "str method", {});
  const std::string& text = self.text();
  run.step(text.size() / 4);
  for (size_t i = 0; i < text.size();)
    if (!property(next_code_point(text, i))) return false;
  return !text.empty();
}

Value is_ascii(Run&, const Value& self, Arguments& arguments) {
  bind(arguments, "isascii", {});
  return self.string().ascii();
}

Value printable(Run& run, const Value& self, Arguments& arguments) {
  return self.text().empty() ? Value(true) : every<is_printable>(run, self, arguments);
}

Value identifier(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "isidentifier", {});
  run.step(self.text().size() / 4);
  return is_identifier(self.text());
}

/// isupper and islower: some cased letter, and none of the other case.
template <bool (*wanted)(char32_t), bool (*other)(char32_t)>
Value all_cased(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "str method", {});
  const std::string& text = self.text();
  run.step(text.size() / 4);
  bool found = false;
  for (size_t i = 0; i < text.size();) {
    const char32_t c = next_code_point(text, i);
    if (other(c) || is_title(c)) return false;
    found = found || wanted(c);
  }
  return found;
}

Value is_titled(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "istitle", {});
  const std::string& text = self.text();
  run.step(text.size() / 4);
  bool found = false, after_cased = false;
  for (size_t i = 0; i < text.size();) {
    const char32_t c = next_code_point(text, i);
    const bool capital = is_upper(c) || is_title(c), small = is_lower(c);
    if (capital ? after_cased : small && !after_cased) return false;
    after_cased = capital || small;
    found = found || after_cased;
  }
  return found;
}

constexpr std::array methods = {
    Method{"upper", mapped<upper>},
    Method{"lower", mapped<lower>},
    Method{"title", mapped<title>},
    Method{"capitalize", mapped<capitalize>},
    Method{"swapcase", mapped<swapcase>},
    Method{"casefold", mapped<casefold>},
    Method{"isalpha", every<is_alpha>},
    Method{"isdecimal", every<is_decimal>},
    Method{"isdigit", every<is_digit>},
    Method{"isnumeric", every<is_numeric>},
    Method{"isalnum", every<is_alnum>},
    Method{"isspace", every<is_space>},
    Method{"isascii", is_ascii},
    Method{"isprintable", printable},
    Method{"isidentifier", identifier},
    Method{"isupper", all_cased<is_upper, is_lower>},
    Method{"islower", all_cased<is_lower, is_upper>},
    Method{"istitle", is_titled},
};

}  // namespace

std::span<const Method> string_case_methods() { return methods; }

}  // namespace nibble::jinja
