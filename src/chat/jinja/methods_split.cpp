#include <algorithm>
#include <array>

#include "chat/jinja/markup.hpp"
#include "chat/jinja/methods.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/string_operations.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

using Pieces = std::vector<std::string_view>;

/// split() without separator: runs of white space, none at the ends.
Pieces split_spaces(std::string_view text, uint64_t limit) {
  Pieces pieces;
  for (text = strip(text, nullptr, true, false); !text.empty(); text = strip(text, nullptr, true, false)) {
    if (pieces.size() == limit) {
      pieces.push_back(text);  // the rest keeps its trailing space
      break;
    }
    size_t end = 0;
    for (size_t next = 0; next < text.size() && !is_space(next_code_point(text, next));) end = next;
    pieces.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return pieces;
}

Pieces rsplit_spaces(std::string_view text, uint64_t limit) {
  Pieces pieces;
  for (text = strip(text, nullptr, false, true); !text.empty(); text = strip(text, nullptr, false, true)) {
    if (pieces.size() == limit) {
      pieces.push_back(text);
      break;
    }
    size_t start = text.size();
    while (start > 0) {
      const CodePoint previous = code_point_before(text, start);
      if (is_space(previous.value)) break;
      start -= previous.size;
    }
    pieces.push_back(text.substr(start));
    text = text.substr(0, start);
  }
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

Pieces split_at(std::string_view text, std::string_view separator, uint64_t limit) {
  Pieces pieces;
  while (pieces.size() < limit) {
    const size_t at = text.find(separator);
    if (at == std::string_view::npos) break;
    pieces.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  pieces.push_back(text);
  return pieces;
}

Pieces rsplit_at(std::string_view text, std::string_view separator, uint64_t limit) {
  Pieces pieces;
  while (pieces.size() < limit) {
    const size_t at = text.rfind(separator);
    if (at == std::string_view::npos) break;
    pieces.push_back(text.substr(at + separator.size()));
    text = text.substr(0, at);
  }
  pieces.push_back(text);
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

Value as_list(Run& run, const Pieces& pieces, bool markup) {
  std::vector<Value> items;
  run.require_items(pieces.size());
  for (std::string_view piece : pieces) items.push_back(run.string(std::string(piece), markup));
  return run.list(std::move(items));
}

template <bool from_right>
Value split(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, from_right ? "rsplit" : "split", {"sep", "maxsplit"});
  const int64_t wanted = a.has(1) ? to_index(a[1]) : -1;
  const uint64_t limit = wanted < 0 ? UINT64_MAX : static_cast<uint64_t>(wanted);
  run.step(self.text().size() / 8);
  if (!a.has(0) || a[0].is_none())
    return as_list(run, from_right ? rsplit_spaces(self.text(), limit) : split_spaces(self.text(), limit), self.is_markup());
  const std::string& separator = text_argument(a[0], "split");
  if (separator.empty()) refuse(Fault::value_error, "empty separator");
  return as_list(run, from_right ? rsplit_at(self.text(), separator, limit) : split_at(self.text(), separator, limit), self.is_markup());
}

Value splitlines(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "splitlines", {"keepends"});
  run.step(self.text().size() / 8);
  return as_list(run, split_lines(self.text(), a.has(0) && truth(run, a[0])), self.is_markup());
}

template <bool from_right>
Value partition(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "partition", {""}, 1);
  const std::string& separator = text_argument(a[0], "partition");
  if (separator.empty()) refuse(Fault::value_error, "empty separator");
  const std::string_view text = self.text();
  run.step(text.size() / 16);
  const bool markup = self.is_markup();
  auto part = [&](std::string_view piece) { return run.string(std::string(piece), markup); };
  const size_t at = from_right ? text.rfind(separator) : text.find(separator);
  if (at == std::string_view::npos) {
    if (from_right) return run.tuple({part(""), part(""), part(text)});
    return run.tuple({part(text), part(""), part("")});
  }
  return run.tuple({part(text.substr(0, at)), part(separator), part(text.substr(at + separator.size()))});
}

Value join(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "join", {""}, 1);
  if (!is_iterable(a[0])) refuse(Fault::type_error, "can only join an iterable");
  TextBuilder text(run);
  const std::vector<Value> items = elements(run, a[0]);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i) text += self.text();
    if (!items[i].is_string() && !self.is_markup())
      refuse(Fault::type_error, "sequence item {}: expected str instance, {} found", i, type_name(items[i]));
    text += self.is_markup() ? escape(run, items[i]).text() : items[i].text();
  }
  return text.value(self.is_markup());
}

constexpr std::array methods = {
    Method{"split", split<false>},         Method{"rsplit", split<true>},         Method{"splitlines", splitlines},
    Method{"partition", partition<false>}, Method{"rpartition", partition<true>}, Method{"join", join},
};

}  // namespace

std::span<const Method> string_split_methods() { return methods; }

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  auto is_break = [](char32_t c) { return (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029; };
  Pieces lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t end = i;
    const char32_t c = next_code_point(text, i);
    if (!is_break(c)) continue;
    if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
    lines.push_back(text.substr(start, (keep_ends ? i : end) - start));
    start = i;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

}  // namespace nibble::jinja
