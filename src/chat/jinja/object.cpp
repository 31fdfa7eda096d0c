#include "chat/jinja/object.hpp"

#include <algorithm>
#include <functional>

#include "chat/jinja/run.hpp"

namespace nibble::jinja {

std::optional<Value> Arguments::take(std::string_view name) {
  auto found = std::find_if(named.begin(), named.end(), [&](const auto& argument) { return argument.first == name; });
  if (found == named.end()) return std::nullopt;
  Value value = std::move(found->second);
  named.erase(found);
  return value;
}

std::string Object::repr(Run&) { return fmt::format("<{} object>", type_name()); }

bool Object::truth(Run& run) {
  auto count = length(run);
  return !count || *count > 0;
}

Value Object::call(Run&, Arguments&) { refuse(Fault::type_error, "'{}' object is not callable", type_name()); }

IteratorPtr Object::iterate(Run&) { return nullptr; }

std::optional<size_t> Object::length(Run&) { return std::nullopt; }

std::optional<Value> Object::attribute(Run&, std::string_view) { return std::nullopt; }

std::optional<Value> Object::item(Run&, const Value&) { return std::nullopt; }

bool Object::equals(Run&, const Object& other) { return this == &other; }

size_t Object::hash(Run&) { return std::hash<const Object*>()(this); }

}  // namespace nibble::jinja
