#include "chat/jinja/operators.hpp"

#include <algorithm>

#include "chat/jinja/format.hpp"
#include "chat/jinja/markup.hpp"
#include "chat/jinja/numbers.hpp"

namespace nibble::jinja {

void use_undefined(const Value& value) { refuse(value.undefined().fault, "{}", value.undefined().message); }

bool truth(Run& run, const Value& value) {
  if (value.is_bool()) return value.boolean();
  if (value.is_small()) return value.small() != 0;
  if (value.is_big()) return true;
  if (value.is_float()) return value.real() != 0;
  if (value.is_string()) return !value.text().empty();
  if (value.is_list() || value.is_tuple()) return !value.items().empty();
  if (value.is_dict()) return !value.dict().entries.empty();
  return value.is_object() && value.object()->truth(run);
}

namespace {

bool equal_items(Run& run, const std::vector<Value>& a, const std::vector<Value>& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](const Value& x, const Value& y) { return x.same(y) || equal(run, x, y); });
}

bool equal_dicts(Run& run, const DictData& a, const DictData& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const Value* other = find(run, b, entry.first);
    return other && (entry.second.same(*other) || equal(run, entry.second, *other));
  });
}

}  // namespace

bool equal(Run& run, const Value& a, const Value& b) {
  run.step();
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.is_string() && b.is_string()) {
    if (a.text().size() != b.text().size()) return false;
    run.step(a.text().size() / 64);
    return a.text() == b.text();
  }
  if ((a.is_list() && b.is_list()) || (a.is_tuple() && b.is_tuple())) return equal_items(run, a.items(), b.items());
  if (a.is_dict() && b.is_dict()) return equal_dicts(run, a.dict(), b.dict());
  if (a.is_object() && b.is_object()) return a.object()->equals(run, *b.object());
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

size_t hash_text(std::string_view text) { return std::hash<std::string_view>()(text); }

size_t hash(Run& run, const Value& value) {
  run.step();
  if (value.is_number()) return hash_number(value);
  if (value.is_string()) {
    run.step(value.text().size() / 64);
    return hash_text(value.text());
  }
  if (value.is_tuple()) {
    size_t code = 7;
    for (const Value& item : value.items()) code = code * 1000003 + hash(run, item);
    return code;
  }
  if (value.is_list() || value.is_dict()) refuse(Fault::type_error, "unhashable type: '{}'", type_name(value));
  return value.is_object() ? value.object()->hash(run) : 1;
}

namespace {

bool holds(std::string_view op, int order) {
  if (order == 2) return false;
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

bool ordered_items(Run& run, std::string_view op, const std::vector<Value>& a, const std::vector<Value>& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (!equal(run, a[i], b[i])) return ordered(run, op, a[i], b[i]);
  return holds(op, a.size() < b.size() ? -1 : a.size() > b.size());
}

}  // namespace

bool ordered(Run& run, std::string_view op, const Value& a, const Value& b) {
  run.step();
  if (a.is_number() && b.is_number()) return holds(op, compare_numbers(a, b));
  if (a.is_string() && b.is_string()) {
    run.step(std::min(a.text().size(), b.text().size()) / 64);
    int order = a.text().compare(b.text());  // the order of UTF-8 bytes is that of code points
    return holds(op, order < 0 ? -1 : order > 0);
  }
  if ((a.is_list() && b.is_list()) || (a.is_tuple() && b.is_tuple())) return ordered_items(run, op, a.items(), b.items());
  if (a.is_undefined()) use_undefined(a);
  if (b.is_undefined()) use_undefined(b);
  refuse(Fault::type_error, "'{}' not supported between instances of '{}' and '{}'", op, type_name(a), type_name(b));
}

bool contains(Run& run, const Value& container, const Value& element) {
  if (container.is_string()) {
    if (!element.is_string()) refuse(Fault::type_error, "'in <string>' requires string as left operand, not {}", type_name(element));
    run.step(container.text().size() / 16);
    return container.text().find(element.text()) != std::string::npos;
  }
  if (container.is_dict()) return find(run, container.dict(), element) != nullptr;
  if (!is_iterable(container)) refuse(Fault::type_error, "argument of type '{}' is not iterable", type_name(container));
  auto iterator = iterate(run, container);
  for (Value item; iterator->next(run, item);)
    if (item.same(element) || equal(run, item, element)) return true;
  return false;
}

namespace {

[[noreturn]] void unsupported(std::string_view op, const Value& a, const Value& b) {
  if (a.is_undefined()) use_undefined(a);
  if (b.is_undefined()) use_undefined(b);
  if (op == "+" && (a.is_string() || a.is_list() || a.is_tuple()))
    refuse(Fault::type_error, "can only concatenate {0} (not \"{1}\") to {0}", type_name(a), type_name(b));
  if (op == "*" && (a.is_string() || a.is_list() || a.is_tuple()))
    refuse(Fault::type_error, "can't multiply sequence by non-int of type '{}'", type_name(b));
  std::string_view name = op == "**" ? "** or pow()" : op;
  refuse(Fault::type_error, "unsupported operand type(s) for {}: '{}' and '{}'", name, type_name(a), type_name(b));
}

Value concatenate(Run& run, const Value& a, const Value& b) {
  if (a.is_string()) {
    const bool markup = a.is_markup() || b.is_markup();
    TextBuilder text(run);
    text += markup ? escape(run, a).text() : a.text();
    text += markup ? escape(run, b).text() : b.text();
    return text.value(markup);
  }
  run.require_items(a.items().size() + b.items().size());
  std::vector<Value> items = a.items();
  items.insert(items.end(), b.items().begin(), b.items().end());
  return a.is_list() ? run.list(std::move(items)) : run.tuple(std::move(items));
}

Value repeat(Run& run, const Value& sequence, const Value& times) {
  if (times.is_big()) refuse(Fault::overflow_error, "cannot fit 'int' into an index-sized integer");
  const auto count = static_cast<uint64_t>(std::max<int64_t>(to_index(times), 0));
  if (sequence.is_string()) {
    TextBuilder text(run);
    text.repeat(sequence.text(), count);
    return text.value(sequence.is_markup());
  }
  const auto& source = sequence.items();
  std::vector<Value> items;
  if (!source.empty()) {
    run.require_items(count > SIZE_MAX / source.size() ? SIZE_MAX : source.size() * count);
    items.reserve(source.size() * count);
    for (uint64_t i = 0; i < count; ++i) items.insert(items.end(), source.begin(), source.end());
  }
  return sequence.is_list() ? run.list(std::move(items)) : run.tuple(std::move(items));
}

bool is_sequence(const Value& value) { return value.is_string() || value.is_list() || value.is_tuple(); }

bool same_kind(const Value& a, const Value& b) {
  return (a.is_string() && b.is_string()) || (a.is_list() && b.is_list()) || (a.is_tuple() && b.is_tuple());
}

}  // namespace

Value binary(Run& run, std::string_view op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_big() || b.is_big() || op == "**") run.step(1000);
    return arithmetic(op, a, b);
  }
  if (op == "+" && same_kind(a, b)) return concatenate(run, a, b);
  if (op == "*" && is_sequence(a) && b.is_integer()) return repeat(run, a, b);
  if (op == "*" && is_sequence(b) && a.is_integer()) return repeat(run, b, a);
  if (op == "%" && a.is_string()) return percent_format(run, a, b);
  unsupported(op, a, b);
}

Value unary(Run&, std::string_view op, const Value& a) {
  if (a.is_undefined()) use_undefined(a);
  if (!a.is_number()) refuse(Fault::type_error, "bad operand type for unary {}: '{}'", op, type_name(a));
  if (op == "-") return negate(a);
  return a.is_bool() ? Value(int64_t{a.boolean()}) : a;
}

}  // namespace nibble::jinja
