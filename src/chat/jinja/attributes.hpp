#pragma once

#include <optional>
#include <string_view>

#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// object.name as the immutable sandbox sees it: the attribute, else the item, else undefined. Private attributes and
/// methods that modify are an undefined value that raises SecurityError when used.
Value get_attribute(Run& run, const Value& object, std::string_view name);

/// object[key] likewise: the item first.
Value get_item(Run& run, const Value& object, const Value& key);

/// Python's getattr without any sandbox; nothing where it raises AttributeError. Undefined values raise their fault.
std::optional<Value> python_attribute(Run& run, const Value& object, std::string_view name);

/// A dotted path as the `attribute` parameters of filters take it ("a.b.0", 0): each part through get_item.
/// Where a part is undefined, `absent` takes its place unless it is missing.
Value get_path(Run& run, Value object, const Value& path, const Value& absent);

}  // namespace nibble::jinja
