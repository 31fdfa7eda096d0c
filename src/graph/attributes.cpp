#include "graph/attributes.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/fail.hpp"

namespace nibble {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

template <class T>
T parse_number(std::string_view name, std::string_view text) {
  std::string_view digits = trim(text);
  if (!digits.empty() && digits.front() == '+') digits.remove_prefix(1);
  T value{};
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size())
    fail(ErrorKind::corrupt, "attribute {}=\"{}\" is not a number", name, text);
  return value;
}

}  // namespace

const std::string* Attributes::find(std::string_view name) const {
  for (const auto& [key, value] : entries_)
    if (key == name) return &value;
  return nullptr;
}

void Attributes::set(std::string_view name, std::string value) {
  for (auto& entry : entries_)
    if (entry.first == name) {
      entry.second = std::move(value);
      return;
    }
  entries_.emplace_back(name, std::move(value));
}

std::string Attributes::get_string(std::string_view name, std::string_view fallback) const {
  const std::string* text = find(name);
  return text ? *text : std::string(fallback);
}

int64_t Attributes::get_int(std::string_view name, int64_t fallback) const {
  const std::string* text = find(name);
  return text ? parse_number<int64_t>(name, *text) : fallback;
}

double Attributes::get_float(std::string_view name, double fallback) const {
  const std::string* text = find(name);
  return text ? parse_number<double>(name, *text) : fallback;
}

bool Attributes::get_bool(std::string_view name, bool fallback) const {
  const std::string* text = find(name);
  if (!text) return fallback;
  std::string_view value = trim(*text);
  if (value == "1" || equal_ignoring_case(value, "true")) return true;
  if (value == "0" || equal_ignoring_case(value, "false")) return false;
  fail(ErrorKind::corrupt, "attribute {}=\"{}\" is neither true nor false", name, *text);
}

std::vector<int64_t> Attributes::get_ints(std::string_view name) const {
  std::vector<int64_t> values;
  const std::string* text = find(name);
  if (!text) return values;
  std::string_view rest = trim(*text);
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    values.push_back(parse_number<int64_t>(name, rest.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return values;
}

ElementType Attributes::get_type(std::string_view name, ElementType fallback) const {
  const std::string* text = find(name);
  if (!text) return fallback;
  auto type = parse_element_type(trim(*text));
  if (!type) fail(ErrorKind::corrupt, "attribute {}=\"{}\" is not an element type", name, *text);
  return *type;
}

bool Attributes::equals(std::string_view name, std::string_view value, std::string_view fallback) const {
  const std::string* text = find(name);
  return equal_ignoring_case(text ? trim(*text) : fallback, value);
}

std::string attribute_text(bool value) { return value ? "true" : "false"; }

std::string attribute_text(int64_t value) { return std::to_string(value); }

std::string attribute_text(double value) { return fmt::format("{}", static_cast<float>(value)); }

std::string attribute_text(const std::vector<int64_t>& values) { return fmt::format("{}", fmt::join(values, ", ")); }

}  // namespace nibble
