#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// The arguments of one call in the order of the parameters; missing where none was passed.
class Bound {
 public:
  explicit Bound(std::vector<Value> values) : values_(std::move(values)) {}
  bool has(size_t i) const { return !values_[i].is_missing(); }
  const Value& operator[](size_t i) const { return values_[i]; }
  /// The argument, or `absent`.
  Value get(size_t i, Value absent) const { return has(i) ? values_[i] : std::move(absent); }

 private:
  std::vector<Value> values_;
};

/// Binds a call to parameters as Python does; throws Failure{type_error} for too many, unknown, twofold or missing ones.
/// The first `required` must be there. A parameter named "" cannot be passed by name.
Bound bind(Arguments& arguments, std::string_view function, std::initializer_list<std::string_view> parameters, size_t required = 0);

/// The text of a string argument; throws Failure{type_error} otherwise.
const std::string& text_argument(const Value& value, std::string_view function);

}  // namespace nibble::jinja
