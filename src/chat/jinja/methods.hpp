#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/object.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// A method of a built-in type.
struct Method {
  std::string_view name;
  Value (*body)(Run& run, const Value& self, Arguments& arguments);
};

/// The tables by type. Those of strings are split by what they do.
std::span<const Method> string_case_methods();
std::span<const Method> string_search_methods();
std::span<const Method> string_split_methods();
std::span<const Method> string_layout_methods();
std::span<const Method> container_methods(const Value& value);
std::span<const Method> number_methods(const Value& value);

/// The method `name` bound to `value`, or the value of a data attribute such as (1).real; nothing when there is none.
std::optional<Value> method(Run& run, const Value& value, std::string_view name);

}  // namespace nibble::jinja
