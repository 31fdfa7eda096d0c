#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// Python's operators and protocols on values. They throw what Python would raise; an undefined value raises its own fault.

/// Throws what using an undefined value raises.
[[noreturn]] void use_undefined(const Value& value);

bool truth(Run& run, const Value& value);
bool equal(Run& run, const Value& a, const Value& b);
size_t hash(Run& run, const Value& value);
size_t hash_text(std::string_view text);
/// a < b, a <= b, a > b, a >= b; `op` is the operator's text.
bool ordered(Run& run, std::string_view op, const Value& a, const Value& b);
inline bool less(Run& run, const Value& a, const Value& b) { return ordered(run, "<", a, b); }
bool contains(Run& run, const Value& container, const Value& element);
/// + - * / // % **
Value binary(Run& run, std::string_view op, const Value& a, const Value& b);
/// + or - in front.
Value unary(Run& run, std::string_view op, const Value& a);

/// str(value); shares the string when it is one.
Value to_string(Run& run, const Value& value);
/// Appends str(value).
void append_string(TextBuilder& text, Run& run, const Value& value);
void append_repr(TextBuilder& text, Run& run, const Value& value);
std::string repr(Run& run, const Value& value);
/// repr() of a text.
void append_quoted(TextBuilder& text, std::string_view content);

/// len(value); throws for what has none.
size_t length(Run& run, const Value& value);
std::optional<size_t> try_length(Run& run, const Value& value);
bool is_iterable(const Value& value);
bool is_callable(const Value& value);
/// iter(value); throws for what cannot be iterated. The iterator keeps the value alive.
IteratorPtr iterate(Run& run, const Value& value);
/// list(value)
std::vector<Value> elements(Run& run, const Value& value);

/// Stable sort by `key`; throws what comparing throws.
std::vector<Value> sorted(Run& run, std::vector<Value> items, const std::function<Value(const Value&)>& key, bool reverse);

/// object[start:stop:step]; missing parts are none.
Value slice(Run& run, const Value& object, const Value& start, const Value& stop, const Value& step);

}  // namespace nibble::jinja
