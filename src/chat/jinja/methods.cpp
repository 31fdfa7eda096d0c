#include "chat/jinja/methods.hpp"

#include <array>

#include "chat/jinja/format.hpp"
#include "chat/jinja/markup.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"

namespace nibble::jinja {

namespace {

const Method* find_method(std::span<const Method> methods, std::string_view name) {
  for (const Method& entry : methods)
    if (entry.name == name) return &entry;
  return nullptr;
}

const Method* find_method(const Value& value, std::string_view name) {
  if (!value.is_string()) return find_method(value.is_number() ? number_methods(value) : container_methods(value), name);
  for (auto methods : {string_case_methods(), string_search_methods(), string_split_methods(), string_layout_methods(), format_methods()})
    if (const Method* found = find_method(methods, name)) return found;
  return value.is_markup() ? find_method(markup_methods(), name) : nullptr;
}

/// Attributes that are values, not methods.
std::optional<Value> data_attribute(const Value& value, std::string_view name) {
  if (value.is_number()) {
    if (name == "real") return value.is_bool() ? Value(int64_t{value.boolean()}) : value;
    if (name == "imag") return value.is_float() ? Value(0.0) : Value(int64_t{0});
    if (name == "numerator" && value.is_integer()) return value;
    if (name == "denominator" && value.is_integer()) return int64_t{1};
  }
  if (value.is_tuple() && value.tuple().group) {
    if (name == "grouper") return value.items()[0];
    if (name == "list") return value.items()[1];
  }
  return std::nullopt;
}

}  // namespace

std::optional<Value> method(Run& run, const Value& value, std::string_view name) {
  if (auto data = data_attribute(value, name)) return data;
  const Method* entry = find_method(value, name);
  if (!entry) return std::nullopt;
  auto body = [value, entry](Run& inner, Arguments& arguments) { return entry->body(inner, value, arguments); };
  return run.make<Function>("builtin_function_or_method", std::string(name), body, value.depth() + 1);
}

}  // namespace nibble::jinja
