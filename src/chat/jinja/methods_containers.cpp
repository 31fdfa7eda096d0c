#include <algorithm>
#include <array>

#include "chat/jinja/methods.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"

namespace nibble::jinja {

namespace {

/// Stands for the methods that modify: the sandbox refuses them before they are called.
Value refused(Run&, const Value&, Arguments&) { return None{}; }

Value copy(Run&, const Value& self, Arguments& arguments) {
  bind(arguments, "copy", {});
  return self;  // nothing can change either of the two
}

Value count(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "count", {""}, 1);
  return std::count_if(self.items().begin(), self.items().end(),
                       [&](const Value& item) { return item.same(a[0]) || equal(run, item, a[0]); });
}

int64_t clamped(const Bound& a, size_t i, int64_t absent, int64_t size) {
  if (!a.has(i)) return absent;
  int64_t index = to_index(a[i]);
  return std::clamp(index < 0 ? index + size : index, int64_t{0}, size);
}

Value index(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "index", {"", "", ""}, 1);
  const auto size = static_cast<int64_t>(self.items().size());
  const int64_t end = clamped(a, 2, size, size);
  for (int64_t i = clamped(a, 1, 0, size); i < end; ++i) {
    const Value& item = self.items()[static_cast<size_t>(i)];
    if (item.same(a[0]) || equal(run, item, a[0])) return i;
  }
  refuse(Fault::value_error, "{} is not in {}", repr(run, a[0]), type_name(self));
}

Value get(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "get", {"", ""}, 1);
  const Value* found = find(run, self.dict(), a[0]);
  return found ? *found : a.get(1, None{});
}

template <DictView::Kind kind>
Value view(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "items", {});
  return run.make<DictView>(self, kind);
}

Value fromkeys(Run& run, const Value&, Arguments& arguments) {
  Bound a = bind(arguments, "fromkeys", {"", ""}, 1);
  DictBuilder dict(run);
  for (const Value& key : elements(run, a[0])) dict.set(key, a.get(1, None{}));
  return dict.value();
}

constexpr std::array of_list = {
    Method{"append", refused}, Method{"clear", refused},   Method{"copy", copy},      Method{"count", count},
    Method{"extend", refused}, Method{"index", index},     Method{"insert", refused}, Method{"pop", refused},
    Method{"remove", refused}, Method{"reverse", refused}, Method{"sort", refused},
};
constexpr std::array of_tuple = {Method{"count", count}, Method{"index", index}};
constexpr std::array of_dict = {
    Method{"clear", refused},
    Method{"copy", copy},
    Method{"fromkeys", fromkeys},
    Method{"get", get},
    Method{"items", view<DictView::Kind::items>},
    Method{"keys", view<DictView::Kind::keys>},
    Method{"pop", refused},
    Method{"popitem", refused},
    Method{"setdefault", refused},
    Method{"update", refused},
    Method{"values", view<DictView::Kind::values>},
};

}  // namespace

std::span<const Method> container_methods(const Value& value) {
  if (value.is_list()) return of_list;
  if (value.is_tuple()) return of_tuple;
  if (value.is_dict()) return of_dict;
  return {};
}

}  // namespace nibble::jinja
