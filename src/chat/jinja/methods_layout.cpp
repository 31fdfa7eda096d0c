#include <algorithm>
#include <array>

#include "chat/jinja/markup.hpp"
#include "chat/jinja/methods.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/string_operations.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

template <bool left, bool right>
Value stripped(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "strip", {""});
  run.step(self.text().size() / 16);
  std::string_view chars;
  const bool given = a.has(0) && !a[0].is_none();
  if (given) chars = text_argument(a[0], "strip");
  return run.string(std::string(strip(self.text(), given ? &chars : nullptr, left, right)), self.is_markup());
}

Value replace(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "replace", {"", "", ""}, 2);
  const std::string& from = text_argument(a[0], "replace");
  std::string to = text_argument(a[1], "replace");
  if (self.is_markup()) to = escape(run, a[1]).text();
  return replace_text(run, self.text(), from, to, a.has(2) ? to_index(a[2]) : -1, self.is_markup());
}

enum class Side { left, right, both };

template <Side side>
Value padded(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "just", {"", ""}, 1);
  std::string fill = a.has(1) ? text_argument(a[1], "just") : " ";
  if (count_code_points(fill) != 1) refuse(Fault::type_error, "The fill character must be exactly one character long");
  if (self.is_markup()) fill = escape(run, run.string(fill)).text();
  const int64_t width = to_index(a[0]), size = static_cast<int64_t>(self.string().length);
  const int64_t margin = width > size ? width - size : 0;
  // str.center puts the odd one to the left only when the width is odd as well.
  const int64_t left = side == Side::left ? 0 : side == Side::right ? margin : margin / 2 + (margin & width & 1);
  TextBuilder text(run);
  text.repeat(fill, static_cast<uint64_t>(left));
  text += self.text();
  text.repeat(fill, static_cast<uint64_t>(margin - left));
  return text.value(self.is_markup());
}

Value zfill(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "zfill", {""}, 1);
  const int64_t width = to_index(a[0]), size = static_cast<int64_t>(self.string().length);
  std::string_view content = self.text();
  TextBuilder text(run);
  if (width > size && !content.empty() && (content[0] == '-' || content[0] == '+')) {
    text += content[0];
    content.remove_prefix(1);
  }
  text.repeat("0", static_cast<uint64_t>(std::max<int64_t>(width > size ? width - size : 0, 0)));
  text += content;
  return text.value(self.is_markup());
}

Value expandtabs(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "expandtabs", {"tabsize"});
  const int64_t size = a.has(0) ? to_index(a[0]) : 8;
  TextBuilder text(run);
  int64_t column = 0;
  for (char c : self.text()) {
    if (c == '\t') {
      const int64_t fill = size > 0 ? size - column % size : 0;
      text.repeat(" ", static_cast<uint64_t>(fill));
      column += fill;
    } else {
      text += c;
      column = c == '\n' || c == '\r' ? 0 : column + (is_continuation_byte(c) ? 0 : 1);
    }
  }
  return text.value(self.is_markup());
}

Value encode(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "encode", {"encoding", "errors"});
  std::string name = a.has(0) ? lower(text_argument(a[0], "encode")) : "utf-8";
  std::replace(name.begin(), name.end(), '_', '-');
  if (name != "utf-8" && name != "utf8" && !(name == "ascii" && self.string().ascii()))
    refuse(Fault::value_error, "the encoding '{}' is not supported in templates, or the text cannot be encoded in it", name);
  if (has_surrogate(self.text())) refuse(Fault::value_error, "'utf-8' codec can't encode: surrogates not allowed");
  return run.make<Bytes>(self.text());
}

Value translate(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "translate", {""}, 1);
  if (!a[0].is_dict()) refuse(Fault::type_error, "'{}' object is not subscriptable", type_name(a[0]));
  TextBuilder text(run);
  for (size_t i = 0; i < self.text().size();) {
    const size_t start = i;
    const char32_t c = next_code_point(self.text(), i);
    const Value* to = find(run, a[0].dict(), static_cast<int64_t>(c));
    if (!to) {
      text += std::string_view(self.text()).substr(start, i - start);
    } else if (to->is_string()) {
      text += to->text();
    } else if (!to->is_none()) {
      const int64_t code = to_index(*to);
      if (code < 0 || code > 0x10FFFF) refuse(Fault::value_error, "character mapping must be in range(0x110000)");
      std::string utf8;
      append_utf8(utf8, static_cast<char32_t>(code));
      text += utf8;
    }
  }
  return text.value(self.is_markup());
}

Value make_table(Run& run, const Value& from, const Value& to, const Value& removed) {
  const std::u32string keys = code_points(text_argument(from, "maketrans")), values = code_points(text_argument(to, "maketrans"));
  if (keys.size() != values.size()) refuse(Fault::value_error, "the first two maketrans arguments must have equal length");
  DictBuilder dict(run);
  for (size_t i = 0; i < keys.size(); ++i) dict.set(static_cast<int64_t>(keys[i]), static_cast<int64_t>(values[i]));
  if (!removed.is_missing())
    for (char32_t c : code_points(text_argument(removed, "maketrans"))) dict.set(static_cast<int64_t>(c), None{});
  return dict.value();
}

Value maketrans(Run& run, const Value&, Arguments& arguments) {
  Bound a = bind(arguments, "maketrans", {"", "", ""}, 1);
  if (a.has(1)) return make_table(run, a[0], a[1], a[2]);
  if (!a[0].is_dict()) refuse(Fault::type_error, "if you give only one argument to maketrans it must be a dict");
  DictBuilder dict(run);
  for (const auto& [key, value] : a[0].dict().entries) {
    if (key.is_string() && key.string().length != 1) refuse(Fault::value_error, "string keys in translate table must be of length 1");
    size_t at = 0;
    dict.set(key.is_string() ? Value(static_cast<int64_t>(next_code_point(key.text(), at))) : key, value);
  }
  return dict.value();
}

constexpr std::array methods = {
    Method{"strip", stripped<true, true>},   Method{"lstrip", stripped<true, false>},
    Method{"rstrip", stripped<false, true>}, Method{"replace", replace},
    Method{"ljust", padded<Side::left>},     Method{"rjust", padded<Side::right>},
    Method{"center", padded<Side::both>},    Method{"zfill", zfill},
    Method{"expandtabs", expandtabs},        Method{"encode", encode},
    Method{"translate", translate},          Method{"maketrans", maketrans},
};

}  // namespace

std::span<const Method> string_layout_methods() { return methods; }

Value replace_text(Run& run, std::string_view text, std::string_view from, std::string_view to, int64_t count, bool markup) {
  run.step(text.size() / 16);
  TextBuilder result(run);
  size_t at = 0;
  auto more = [&] { return count != 0; };
  if (from.empty()) {  // between all code points and at both ends
    while (more() && at <= text.size()) {
      result += to;
      --count;
      if (at == text.size()) return result.value(markup);
      const size_t start = at;
      next_code_point(text, at);
      result += text.substr(start, at - start);
    }
  } else {
    for (size_t found = 0; more() && (found = text.find(from, at)) != std::string_view::npos; --count) {
      result += text.substr(at, found - at);
      result += to;
      at = found + from.size();
    }
  }
  result += text.substr(at);
  return result.value(markup);
}

}  // namespace nibble::jinja
