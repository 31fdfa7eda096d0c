#include <algorithm>

#include "chat/jinja/numbers.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

class ItemsIterator : public Iterator {
 public:
  explicit ItemsIterator(Value owner) : owner_(std::move(owner)) {}
  bool next(Run& run, Value& value) override {
    run.step();
    if (position_ == owner_.items().size()) return false;
    value = owner_.items()[position_++];
    return true;
  }

 private:
  Value owner_;
  size_t position_ = 0;
};

class KeysIterator : public Iterator {
 public:
  explicit KeysIterator(Value owner) : owner_(std::move(owner)) {}
  bool next(Run& run, Value& value) override {
    run.step();
    if (position_ == owner_.dict().entries.size()) return false;
    value = owner_.dict().entries[position_++].first;
    return true;
  }

 private:
  Value owner_;
  size_t position_ = 0;
};

class CharactersIterator : public Iterator {
 public:
  explicit CharactersIterator(Value owner) : owner_(std::move(owner)) {}
  bool next(Run& run, Value& value) override {
    const std::string& text = owner_.text();
    if (position_ == text.size()) return false;
    const size_t start = position_;
    next_code_point(text, position_);
    value = run.string(text.substr(start, position_ - start));
    return true;
  }

 private:
  Value owner_;
  size_t position_ = 0;
};

class EmptyIterator : public Iterator {
 public:
  bool next(Run&, Value&) override { return false; }
};

}  // namespace

std::optional<size_t> try_length(Run& run, const Value& value) {
  if (value.is_string()) return value.string().length;
  if (value.is_list() || value.is_tuple()) return value.items().size();
  if (value.is_dict()) return value.dict().entries.size();
  if (value.is_undefined()) return 0;
  return value.is_object() ? value.object()->length(run) : std::nullopt;
}

size_t length(Run& run, const Value& value) {
  auto count = try_length(run, value);
  if (!count) refuse(Fault::type_error, "object of type '{}' has no len()", type_name(value));
  return *count;
}

bool is_iterable(const Value& value) {
  return value.is_string() || value.is_list() || value.is_tuple() || value.is_dict() || value.is_undefined() ||
         (value.is_object() && value.object()->iterable());
}

bool is_callable(const Value& value) { return value.is_undefined() || (value.is_object() && value.object()->callable()); }

IteratorPtr iterate(Run& run, const Value& value) {
  if (value.is_list() || value.is_tuple()) return std::make_unique<ItemsIterator>(value);
  if (value.is_string()) return std::make_unique<CharactersIterator>(value);
  if (value.is_dict()) return std::make_unique<KeysIterator>(value);
  if (value.is_undefined()) return std::make_unique<EmptyIterator>();
  if (value.is_object()) {
    if (auto iterator = value.object()->iterate(run)) return iterator;
  }
  refuse(Fault::type_error, "'{}' object is not iterable", type_name(value));
}

std::vector<Value> elements(Run& run, const Value& value) {
  if (value.is_list() || value.is_tuple()) {
    run.require_items(value.items().size());
    run.step(value.items().size() / 8);
    return value.items();
  }
  std::vector<Value> result;
  auto iterator = iterate(run, value);
  for (Value item; iterator->next(run, item);) {
    if (result.size() == result.capacity()) run.require_items(2 * result.size() + 1);
    result.push_back(item);
  }
  return result;
}

namespace {

struct Keyed {
  Value key, item;
};

/// One pass of a merge sort. Unlike std::stable_sort it is safe with any comparison, also an inconsistent one.
void merge(Run& run, const std::vector<Keyed>& from, std::vector<Keyed>& to, size_t begin, size_t middle, size_t end) {
  size_t left = begin, right = middle;
  for (size_t i = begin; i < end; ++i) {
    const bool take_right = right < end && (left >= middle || less(run, from[right].key, from[left].key));
    to[i] = from[take_right ? right++ : left++];
  }
}

void merge_sort(Run& run, std::vector<Keyed>& items) {
  std::vector<Keyed> other(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size());
      merge(run, items, other, begin, middle, std::min(begin + 2 * width, items.size()));
    }
    items.swap(other);
  }
}

}  // namespace

std::vector<Value> sorted(Run& run, std::vector<Value> items, const std::function<Value(const Value&)>& key, bool reverse) {
  std::vector<Keyed> keyed;
  run.require_items(4 * items.size());
  for (Value& item : items) {
    Value of = key(item);
    keyed.push_back({std::move(of), std::move(item)});
  }
  if (reverse) std::reverse(keyed.begin(), keyed.end());  // before and after, so that equal elements keep their order
  merge_sort(run, keyed);
  if (reverse) std::reverse(keyed.begin(), keyed.end());
  std::vector<Value> result;
  for (Keyed& entry : keyed) result.push_back(std::move(entry.item));
  return result;
}

namespace {

constexpr int64_t longest_stride = int64_t{1} << 40;  // beyond any length, and sums of it stay within 64 bits

struct Span {
  int64_t start, stop, step, count;
};

int64_t slice_part(const Value& value, int64_t absent) {
  if (value.is_none()) return absent;
  if (!value.is_integer()) refuse(Fault::type_error, "slice indices must be integers or None or have an __index__ method");
  return to_index(value);
}

int64_t clamp_index(int64_t index, int64_t size, int64_t low, int64_t high) {
  if (index < 0) index += size;
  return std::clamp(index, low, high);
}

Span resolve(int64_t size, const Value& start, const Value& stop, const Value& step) {
  Span span{};
  span.step = std::clamp(slice_part(step, 1), -longest_stride, longest_stride);
  if (span.step == 0) refuse(Fault::value_error, "slice step cannot be zero");
  const bool down = span.step < 0;
  const int64_t low = down ? -1 : 0, high = down ? size - 1 : size;
  span.start = start.is_none() ? (down ? high : low) : clamp_index(slice_part(start, 0), size, low, high);
  span.stop = stop.is_none() ? (down ? low : high) : clamp_index(slice_part(stop, 0), size, low, high);
  const int64_t distance = down ? span.start - span.stop : span.stop - span.start;
  const int64_t stride = down ? -span.step : span.step;
  span.count = distance <= 0 ? 0 : (distance - 1) / stride + 1;
  return span;
}

Value slice_string(Run& run, const Value& string, const Span& span) {
  const StringData& data = string.string();
  run.step(data.text.size() / 32);
  if (span.step == 1) {
    const auto count = static_cast<size_t>(span.count);
    const size_t begin = byte_offset(data.text, static_cast<size_t>(span.start), data.ascii());
    const size_t bytes = byte_offset(std::string_view(data.text).substr(begin), count, data.ascii());
    return run.string(count ? data.text.substr(begin, bytes) : "", data.markup);
  }
  const std::u32string source = code_points(data.text);
  std::u32string result;
  for (int64_t i = 0, at = span.start; i < span.count; ++i, at += span.step) result += source[static_cast<size_t>(at)];
  return run.string(to_utf8(result), data.markup);
}

}  // namespace

Value slice(Run& run, const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is_undefined()) use_undefined(object);
  if (object.is_string()) return slice_string(run, object, resolve(static_cast<int64_t>(object.string().length), start, stop, step));
  if (object.is_dict()) refuse(Fault::type_error, "unhashable type: 'slice'");
  if (auto* range = object.as<Range>()) {
    const Span span = resolve(static_cast<int64_t>(length(run, object)), start, stop, step);
    return run.make<Range>(range->at(span.start), range->at(span.stop), to_index(arithmetic("*", range->step(), span.step)));
  }
  if (!object.is_list() && !object.is_tuple()) refuse(Fault::type_error, "'{}' object is not subscriptable", type_name(object));
  const Span span = resolve(static_cast<int64_t>(object.items().size()), start, stop, step);
  std::vector<Value> items;
  run.require_items(static_cast<size_t>(span.count));
  for (int64_t i = 0, at = span.start; i < span.count; ++i, at += span.step) items.push_back(object.items()[static_cast<size_t>(at)]);
  return object.is_list() ? run.list(std::move(items)) : run.tuple(std::move(items));
}

}  // namespace nibble::jinja
