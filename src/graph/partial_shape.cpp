#include "graph/partial_shape.hpp"

#include <algorithm>
#include <charconv>

#include "base/fail.hpp"

namespace nibble {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '[')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == ']')) text.remove_suffix(1);
  return text;
}

int64_t parse_dim(std::string_view text, std::string_view whole) {
  if (text == "?" || text == "-1") return kDynamic;
  size_t dots = text.find("..");
  int64_t value = 0;
  std::string_view number = dots == std::string_view::npos ? text : text.substr(0, dots);
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  bool is_number = error == std::errc() && end == number.data() + number.size() && value >= 0;
  if (dots != std::string_view::npos && (is_number || number.empty())) return kDynamic;
  if (!is_number) fail(ErrorKind::corrupt, "'{}' is not a shape", whole);
  return value;
}

}  // namespace

bool PartialShape::is_static() const {
  return known_ && std::all_of(dims_.begin(), dims_.end(), [](int64_t d) { return d >= 0; });
}

std::string to_string(const PartialShape& shape) {
  if (!shape.rank_is_known()) return "...";
  std::string text;
  for (int64_t dim : shape.dims()) {
    if (!text.empty()) text += ',';
    text += dim < 0 ? "?" : std::to_string(dim);
  }
  return text;
}

PartialShape parse_partial_shape(std::string_view text) {
  std::string_view rest = trim(text);
  if (rest == "...") return {};
  Shape dims;
  if (rest.empty()) return dims;
  for (;;) {
    size_t comma = rest.find(',');
    dims.push_back(parse_dim(trim(rest.substr(0, comma)), text));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return dims;
}

}  // namespace nibble
