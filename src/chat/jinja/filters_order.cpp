#include <algorithm>
#include <array>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/attributes.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

/// Strings in lower case unless the case matters.
Value ignoring_case(Run& run, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  run.step(value.text().size());
  return run.string(lower(value.text()));
}

/// The key of an item for an `attribute` of several paths, separated by commas.
Value multiple_key(Run& run, const Value& item, const Value& attribute, bool case_sensitive) {
  if (!attribute.is_string()) return run.list({ignoring_case(run, get_path(run, item, attribute, Value()), case_sensitive)});
  std::vector<Value> keys;
  for (std::string_view rest = attribute.text();;) {
    const size_t comma = rest.find(',');
    const Value path = run.string(std::string(rest.substr(0, comma)));
    keys.push_back(ignoring_case(run, get_path(run, item, path, Value()), case_sensitive));
    if (comma == std::string_view::npos) return run.list(std::move(keys));
    rest.remove_prefix(comma + 1);
  }
}

Value sort(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "sort", {"value", "reverse", "case_sensitive", "attribute"}, 1);
  const bool reverse = a.has(1) && to_index(a[1]) != 0, case_sensitive = a.has(2) && truth(run, a[2]);
  auto key = [&](const Value& item) {
    if (!a.has(3) || a[3].is_none()) return ignoring_case(run, item, case_sensitive);
    return multiple_key(run, item, a[3], case_sensitive);
  };
  return run.list(sorted(run, elements(run, a[0]), key, reverse));
}

Value dictsort(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "dictsort", {"value", "case_sensitive", "by", "reverse"}, 1);
  const std::string by = a.has(2) && a[2].is_string() ? a[2].text() : a.has(2) ? "" : "key";
  if (by != "key" && by != "value") refuse(Fault::filter_argument_error, "You can only sort by either \"key\" or \"value\"");
  if (a[0].is_undefined()) use_undefined(a[0]);
  if (!a[0].is_dict()) refuse(Fault::attribute_error, "'{}' object has no attribute 'items'", type_name(a[0]));
  const bool case_sensitive = a.has(1) && truth(run, a[1]);
  std::vector<Value> pairs;
  for (const auto& [key, value] : a[0].dict().entries) pairs.push_back(run.tuple({key, value}));
  auto key = [&](const Value& pair) { return ignoring_case(run, pair.items()[by == "value"], case_sensitive); };
  return run.list(sorted(run, std::move(pairs), key, a.has(3) && to_index(a[3]) != 0));
}

Value unique(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "unique", {"value", "case_sensitive", "attribute"}, 1);
  const bool case_sensitive = a.has(1) && truth(run, a[1]);
  auto seen = std::make_shared<DictBuilder>(run);
  auto count = std::make_shared<size_t>(0);
  std::shared_ptr<Iterator> iterator = iterate(run, a[0]);
  auto step = [=, attribute = a[2]](Run& inner, Value& value) {
    for (Value item; iterator->next(inner, item);) {
      seen->set(ignoring_case(inner, get_path(inner, item, attribute, Value()), case_sensitive), None{});
      if (seen->size() == *count) continue;
      *count = seen->size();
      value = item;
      return true;
    }
    return false;
  };
  return run.make<Generator>("do_unique", a[0].depth(), std::move(step));
}

Value groupby(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "groupby", {"value", "attribute", "default", "case_sensitive"}, 2);
  const bool case_sensitive = a.has(3) && truth(run, a[3]);
  auto plain = [&](const Value& item) { return get_path(run, item, a[1], a[2]); };
  auto key = [&](const Value& item) { return ignoring_case(run, plain(item), case_sensitive); };
  std::vector<Value> groups, members;
  Value current;
  auto finish = [&] {
    if (members.empty()) return;
    const Value name = plain(members[0]);
    groups.push_back(run.tuple({name, run.list(std::exchange(members, {}))}, true));
  };
  for (const Value& item : sorted(run, elements(run, a[0]), key, false)) {
    const Value of = key(item);
    if (!members.empty() && !equal(run, of, current)) finish();
    current = of;
    members.push_back(item);
  }
  finish();
  return run.list(std::move(groups));
}

template <bool largest>
Value extreme(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, largest ? "max" : "min", {"value", "case_sensitive", "attribute"}, 1);
  const bool case_sensitive = a.has(1) && truth(run, a[1]);
  auto iterator = iterate(run, a[0]);
  Value best, best_key;
  for (Value item; iterator->next(run, item);) {
    Value key = ignoring_case(run, get_path(run, item, a[2], Value()), case_sensitive);
    if (!best.is_missing() && !ordered(run, largest ? ">" : "<", key, best_key)) continue;
    best = item;
    best_key = std::move(key);
  }
  return best.is_missing() ? run.undefined("No aggregated item, sequence was empty.") : best;
}

constexpr std::array filters = {
    Filter{"sort", sort},       Filter{"dictsort", dictsort},  Filter{"unique", unique},
    Filter{"groupby", groupby}, Filter{"min", extreme<false>}, Filter{"max", extreme<true>},
};

}  // namespace

std::span<const Filter> order_filters() { return filters; }

}  // namespace nibble::jinja
