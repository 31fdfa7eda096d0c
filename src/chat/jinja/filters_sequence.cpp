#include <algorithm>
#include <array>
#include <random>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/attributes.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

Value first(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "first", {"seq"}, 1);
  Value item;
  if (iterate(run, a[0])->next(run, item)) return item;
  return run.undefined("No first item, sequence was empty.");
}

/// What reversed() takes: sequences, dicts and their views, ranges.
bool reversible(const Value& value) { return is_iterable(value) && type_name(value) != "generator"; }

Value last(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "last", {"seq"}, 1);
  if (!reversible(a[0])) refuse(Fault::type_error, "'{}' object is not reversible", type_name(a[0]));
  if (a[0].is_string()) {
    const Value tail = slice(run, a[0], int64_t{-1}, None{}, None{});
    if (tail.string().length > 0) return tail;
  } else if (const std::vector<Value> items = elements(run, a[0]); !items.empty()) {
    return items.back();
  }
  return run.undefined("No last item, sequence was empty.");
}

Value random(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "random", {"seq"}, 1);
  const size_t count = length(run, a[0]);
  if (count == 0) return run.undefined("No random item, sequence was empty.");
  std::random_device source;
  return get_item(run, a[0], static_cast<int64_t>(std::uniform_int_distribution<size_t>(0, count - 1)(source)));
}

Value length_of(Run& run, Arguments& arguments) { return static_cast<int64_t>(length(run, bind(arguments, "length", {""}, 1)[0])); }

Value list(Run& run, Arguments& arguments) { return run.list(elements(run, bind(arguments, "list", {"value"}, 1)[0])); }

/// A generator over a list.
Value yielding(Run& run, std::string name, Value list) {
  const uint32_t depth = list.depth();
  auto step = [list = std::move(list), i = size_t{0}](Run&, Value& value) mutable {
    if (i == list.items().size()) return false;
    value = list.items()[i++];
    return true;
  };
  return run.make<Generator>(std::move(name), depth, std::move(step));
}

Value reverse(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "reverse", {"value"}, 1);
  if (a[0].is_string()) return slice(run, a[0], None{}, None{}, int64_t{-1});
  if (!is_iterable(a[0])) refuse(Fault::filter_argument_error, "argument must be iterable");
  std::vector<Value> items = elements(run, a[0]);
  std::reverse(items.begin(), items.end());
  Value reversed = run.list(std::move(items));
  return reversible(a[0]) ? yielding(run, "reversed", std::move(reversed)) : reversed;
}

Value items(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "items", {"value"}, 1);
  auto step = [value = a[0], i = size_t{0}](Run& inner, Value& item) mutable {
    if (value.is_undefined()) return false;
    if (!value.is_dict()) refuse(Fault::type_error, "Can only get item pairs from a mapping.");
    if (i == value.dict().entries.size()) return false;
    const auto& [key, content] = value.dict().entries[i++];
    item = inner.tuple({key, content});
    return true;
  };
  return run.make<Generator>("do_items", a[0].depth(), std::move(step));
}

Value join(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "join", {"value", "d", "attribute"}, 1);
  const Value separator = a.has(1) ? to_string(run, a[1]) : run.string("");
  TextBuilder text(run);
  bool first_item = true;
  auto iterator = iterate(run, a[0]);
  for (Value item; iterator->next(run, item);) {
    if (!first_item) text += separator.text();
    first_item = false;
    append_string(text, run, get_path(run, item, a[2], Value()));
  }
  return text.value(separator.is_markup());
}

Value sum(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "sum", {"iterable", "attribute", "start"}, 1);
  Value total = a.get(2, int64_t{0});
  if (total.is_string()) refuse(Fault::type_error, "sum() can't sum strings [use ''.join(seq) instead]");
  auto iterator = iterate(run, a[0]);
  for (Value item; iterator->next(run, item);) total = binary(run, "+", total, get_path(run, item, a[1], Value()));
  return total;
}

Value batch(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "batch", {"value", "linecount", "fill_with"}, 2);
  const int64_t count = to_index(a[1]);
  std::vector<Value> batches, line;
  auto iterator = iterate(run, a[0]);
  for (Value item; iterator->next(run, item);) {
    if (static_cast<int64_t>(line.size()) == count) batches.push_back(run.list(std::exchange(line, {})));
    line.push_back(item);
  }
  if (!line.empty()) {
    if (a.has(2) && !a[2].is_none() && static_cast<int64_t>(line.size()) < count) {
      run.require_items(static_cast<size_t>(count));
      line.resize(static_cast<size_t>(count), a[2]);
    }
    batches.push_back(run.list(std::move(line)));
  }
  return yielding(run, "do_batch", run.list(std::move(batches)));
}

Value slices(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "slice", {"value", "slices", "fill_with"}, 2);
  const std::vector<Value> source = elements(run, a[0]);
  const int64_t count = to_index(a[1]);
  if (count == 0) refuse(Fault::zero_division_error, "integer division or modulo by zero");
  std::vector<Value> result;
  if (count > 0) run.require_items(4 * static_cast<size_t>(count));
  const auto size = static_cast<int64_t>(source.size());
  const int64_t each = size / std::max<int64_t>(count, 1), longer = size % std::max<int64_t>(count, 1);
  int64_t start = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = start + each + (i < longer);
    std::vector<Value> part(source.begin() + start, source.begin() + end);
    if (a.has(2) && !a[2].is_none() && i >= longer) part.push_back(a[2]);
    result.push_back(run.list(std::move(part)));
    start = end;
  }
  return yielding(run, "do_slice", run.list(std::move(result)));
}

constexpr std::array filters = {
    Filter{"first", first},     Filter{"last", last}, Filter{"random", random},   Filter{"length", length_of},
    Filter{"count", length_of}, Filter{"list", list}, Filter{"reverse", reverse}, Filter{"items", items},
    Filter{"join", join},       Filter{"sum", sum},   Filter{"batch", batch},     Filter{"slice", slices},
};

}  // namespace

std::span<const Filter> sequence_filters() { return filters; }

}  // namespace nibble::jinja
