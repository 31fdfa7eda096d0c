#include <algorithm>
#include <array>

#include "chat/jinja/methods.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

/// The part of a string that the arguments start and end select, in bytes.
struct Window {
  size_t begin = 0, end = 0;
  bool valid = true;  ///< false when start lies behind the end
};

int64_t position(const Value& value, int64_t size, int64_t absent) {
  if (value.is_missing() || value.is_none()) return absent;
  const int64_t index = to_index(value);
  return std::max<int64_t>(index < 0 ? index + size : index, 0);
}

Window window(Run& run, const StringData& data, const Value& start, const Value& end) {
  const auto size = static_cast<int64_t>(data.length);
  const int64_t first = position(start, size, 0), last = std::min(position(end, size, size), size);
  run.step(data.ascii() ? 1 : data.text.size() / 32);
  Window result;
  result.valid = first <= size && first <= last;
  if (!result.valid) return result;
  result.begin = byte_offset(data.text, static_cast<size_t>(first), data.ascii());
  result.end = byte_offset(data.text, static_cast<size_t>(last), data.ascii());
  return result;
}

/// The code point index of the first or last occurrence, or -1.
int64_t locate(Run& run, const Value& self, Arguments& arguments, std::string_view name, bool last) {
  Bound a = bind(arguments, name, {"", "", ""}, 1);
  const StringData& data = self.string();
  const std::string& wanted = text_argument(a[0], name);
  const Window part = window(run, data, a[1], a[2]);
  run.step(data.text.size() / 16);
  if (!part.valid) return -1;
  const auto text = std::string_view(data.text).substr(part.begin, part.end - part.begin);
  const size_t at = last ? text.rfind(wanted) : text.find(wanted);
  if (at == std::string_view::npos) return -1;
  return static_cast<int64_t>(count_code_points(std::string_view(data.text).substr(0, part.begin + at)));
}

template <bool last>
Value find_text(Run& run, const Value& self, Arguments& arguments) {
  return locate(run, self, arguments, last ? "rfind" : "find", last);
}

template <bool last>
Value index_text(Run& run, const Value& self, Arguments& arguments) {
  const int64_t at = locate(run, self, arguments, last ? "rindex" : "index", last);
  if (at < 0) refuse(Fault::value_error, "substring not found");
  return at;
}

Value count(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "count", {"", "", ""}, 1);
  const StringData& data = self.string();
  const std::string& wanted = text_argument(a[0], "count");
  const Window part = window(run, data, a[1], a[2]);
  run.step(data.text.size() / 16);
  if (!part.valid) return int64_t{0};
  const auto text = std::string_view(data.text).substr(part.begin, part.end - part.begin);
  if (wanted.empty()) return static_cast<int64_t>(count_code_points(text)) + 1;
  int64_t found = 0;
  for (size_t at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + wanted.size())) ++found;
  return found;
}

template <bool at_end>
Value affix(Run& run, const Value& self, Arguments& arguments) {
  constexpr std::string_view name = at_end ? "endswith" : "startswith";
  Bound a = bind(arguments, name, {"", "", ""}, 1);
  const Window part = window(run, self.string(), a[1], a[2]);
  if (!a[0].is_string() && !a[0].is_tuple())
    refuse(Fault::type_error, "{} first arg must be str or a tuple of str, not {}", name, type_name(a[0]));
  if (!part.valid) return false;
  const auto text = std::string_view(self.text()).substr(part.begin, part.end - part.begin);
  auto matches = [&](const Value& wanted) {
    if (!wanted.is_string()) refuse(Fault::type_error, "tuple for {} must only contain str, not {}", name, type_name(wanted));
    run.step(1 + wanted.text().size() / 64);
    return at_end ? text.ends_with(wanted.text()) : text.starts_with(wanted.text());
  };
  if (a[0].is_string()) return matches(a[0]);
  return std::any_of(a[0].items().begin(), a[0].items().end(), matches);
}

template <bool at_end>
Value remove_affix(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, at_end ? "removesuffix" : "removeprefix", {""}, 1);
  const std::string& wanted = text_argument(a[0], at_end ? "removesuffix" : "removeprefix");
  std::string_view text = self.text();
  if (at_end && text.ends_with(wanted)) text.remove_suffix(wanted.size());
  if (!at_end && text.starts_with(wanted)) text.remove_prefix(wanted.size());
  return run.string(std::string(text), self.is_markup());
}

constexpr std::array methods = {
    Method{"find", find_text<false>},
    Method{"rfind", find_text<true>},
    Method{"index", index_text<false>},
    Method{"rindex", index_text<true>},
    Method{"count", count},
    Method{"startswith", affix<false>},
    Method{"endswith", affix<true>},
    Method{"removeprefix", remove_affix<false>},
    Method{"removesuffix", remove_affix<true>},
};

}  // namespace

std::span<const Method> string_search_methods() { return methods; }

}  // namespace nibble::jinja
