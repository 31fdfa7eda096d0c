#include "chat/jinja/arguments.hpp"

#include <algorithm>

#include "chat/jinja/operators.hpp"

namespace nibble::jinja {

Bound bind(Arguments& arguments, std::string_view function, std::initializer_list<std::string_view> parameters, size_t required) {
  if (arguments.positional.size() > parameters.size())
    refuse(Fault::type_error, "{}() takes at most {} arguments ({} given)", function, parameters.size(), arguments.positional.size());
  std::vector<Value> values = std::move(arguments.positional);
  values.resize(parameters.size());
  for (auto& [name, value] : arguments.named) {
    auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end() || name.empty())
      refuse(Fault::type_error, "{}() got an unexpected keyword argument '{}'", function, name);
    Value& place = values[static_cast<size_t>(found - parameters.begin())];
    if (!place.is_missing()) refuse(Fault::type_error, "{}() got multiple values for argument '{}'", function, name);
    place = std::move(value);
  }
  for (size_t i = 0; i < required; ++i)
    if (values[i].is_missing())
      refuse(Fault::type_error, "{}() missing 1 required positional argument: '{}'", function, parameters.begin()[i]);
  return Bound(std::move(values));
}

const std::string& text_argument(const Value& value, std::string_view function) {
  if (value.is_undefined()) refuse(Fault::type_error, "{}() argument must be str, not Undefined", function);
  if (!value.is_string()) refuse(Fault::type_error, "{}() argument must be str, not {}", function, type_name(value));
  return value.text();
}

}  // namespace nibble::jinja
