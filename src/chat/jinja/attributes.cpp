#include "chat/jinja/attributes.hpp"

#include <algorithm>
#include <array>

#include "chat/jinja/methods.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

/// What every Python object has.
constexpr std::array<std::string_view, 23> common = {
    "__class__",  "__delattr__",      "__dir__",      "__doc__",           "__eq__",          "__format__",
    "__ge__",     "__getattribute__", "__gt__",       "__hash__",          "__init__",        "__le__",
    "__lt__",     "__ne__",           "__new__",      "__reduce__",        "__repr__",        "__setattr__",
    "__sizeof__", "__str__",          "__getstate__", "__init_subclass__", "__subclasshook__"};
/// What strings, lists, tuples and dicts have besides.
constexpr std::array<std::string_view, 4> of_containers = {"__len__", "__iter__", "__contains__", "__getitem__"};

bool is_special(const Value& object, std::string_view name) {
  if (!name.starts_with("__")) return false;
  if (std::find(common.begin(), common.end(), name) != common.end()) return true;
  const bool container = object.is_string() || object.is_list() || object.is_tuple() || object.is_dict();
  return container && std::find(of_containers.begin(), of_containers.end(), name) != of_containers.end();
}

bool modifies(const Value& object, std::string_view name) {
  constexpr std::array<std::string_view, 8> of_list = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
  constexpr std::array<std::string_view, 5> of_dict = {"clear", "pop", "popitem", "setdefault", "update"};
  if (object.is_list()) return std::find(of_list.begin(), of_list.end(), name) != of_list.end();
  return object.is_dict() && std::find(of_dict.begin(), of_dict.end(), name) != of_dict.end();
}

std::string shortened(std::string_view name) {
  constexpr size_t longest = 200;
  if (name.size() <= longest) return std::string(name);
  size_t end = longest;
  while (end > 0 && is_continuation_byte(name[end])) --end;
  return std::string(name.substr(0, end)) + "...";
}

Value not_there(Run& run, const Value& object, std::string_view name) {
  const std::string type = object.is_none() ? "None" : fmt::format("{} object", type_name(object));
  return run.undefined(fmt::format("'{}' has no attribute '{}'", type, shortened(name)));
}

Value unsafe(Run& run, const Value& object, std::string_view name) {
  return run.undefined(fmt::format("access to attribute '{}' of '{}' object is unsafe.", shortened(name), type_name(object)),
                       Fault::security_error);
}

/// The attribute if Python has it, behind the rules of the sandbox.
std::optional<Value> safe_attribute(Run& run, const Value& object, std::string_view name) {
  auto value = python_attribute(run, object, name);
  if (!value) return std::nullopt;
  if (name.starts_with("_") || modifies(object, name)) return unsafe(run, object, name);
  return value;
}

bool is_hashable(const Value& value) {
  if (value.is_list() || value.is_dict()) return false;
  return !value.is_tuple() || std::all_of(value.items().begin(), value.items().end(), is_hashable);
}

/// object[key]; nothing where Python raises TypeError or LookupError.
std::optional<Value> subscript(Run& run, const Value& object, const Value& key) {
  if (object.is_undefined()) use_undefined(object);
  if (object.is_dict()) {
    if (!is_hashable(key)) return std::nullopt;
    const Value* found = find(run, object.dict(), key);
    return found ? std::optional<Value>(*found) : std::nullopt;
  }
  if (object.is_object()) return object.object()->item(run, key);
  if (!key.is_integer() || !(object.is_string() || object.is_list() || object.is_tuple())) return std::nullopt;
  const auto size = static_cast<int64_t>(length(run, object));
  int64_t index = to_index(key);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return std::nullopt;
  if (!object.is_string()) return object.items()[static_cast<size_t>(index)];
  const StringData& data = object.string();
  if (!data.ascii()) run.step(data.text.size() / 32);
  size_t begin = byte_offset(data.text, static_cast<size_t>(index), data.ascii()), end = begin;
  next_code_point(data.text, end);
  return run.string(data.text.substr(begin, end - begin), data.markup);
}

}  // namespace

std::optional<Value> python_attribute(Run& run, const Value& object, std::string_view name) {
  if (is_special(object, name)) return Value(None{});
  if (object.is_undefined()) {
    if (name.starts_with("__") && name.ends_with("__")) return std::nullopt;
    use_undefined(object);
  }
  if (object.is_object()) return object.object()->attribute(run, name);
  return method(run, object, name);
}

Value get_attribute(Run& run, const Value& object, std::string_view name) {
  run.step();
  if (auto value = safe_attribute(run, object, name)) return *value;
  if (object.is_undefined()) use_undefined(object);
  if (object.is_dict()) {
    const Value* found = find(object.dict(), name);
    return found ? *found : not_there(run, object, name);
  }
  if (object.is_object()) {
    if (auto value = object.object()->item(run, run.string(std::string(name)))) return *value;
  }
  return not_there(run, object, name);
}

Value get_item(Run& run, const Value& object, const Value& key) {
  run.step();
  if (auto value = subscript(run, object, key)) return *value;
  if (!key.is_string()) {
    const std::string type = object.is_none() ? "None" : fmt::format("{} object", type_name(object));
    return run.undefined(fmt::format("{} has no element {}", type, shortened(repr(run, key))));
  }
  if (auto value = safe_attribute(run, object, key.text())) return *value;
  return not_there(run, object, key.text());
}

namespace {

/// A part of a path that is all digits is an index.
Value path_part(Run& run, std::string_view part) {
  const bool digits = !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (digits) return *parse_integer(part, 10);
  return run.string(std::string(part));
}

}  // namespace

Value get_path(Run& run, Value object, const Value& path, const Value& absent) {
  if (path.is_missing() || path.is_none()) return object;
  auto follow = [&](const Value& part) {
    object = get_item(run, object, part);
    if (object.is_undefined() && !absent.is_missing() && !absent.is_none()) object = absent;
  };
  if (!path.is_string()) {
    follow(path);
    return object;
  }
  for (std::string_view rest = path.text();;) {
    const size_t dot = rest.find('.');
    follow(path_part(run, rest.substr(0, dot)));
    if (dot == std::string_view::npos) return object;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace nibble::jinja
