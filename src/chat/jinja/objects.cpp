#include "chat/jinja/objects.hpp"

#include <algorithm>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"

namespace nibble::jinja {

namespace {

/// Iterates by index over what `element` yields.
class Indexed : public Iterator {
 public:
  Indexed(std::shared_ptr<Object> owner, size_t count, std::function<Value(size_t)> element)
      : owner_(std::move(owner)), count_(count), element_(std::move(element)) {}
  bool next(Run& run, Value& value) override {
    run.step();
    if (position_ == count_) return false;
    value = element_(position_++);
    return true;
  }

 private:
  std::shared_ptr<Object> owner_;
  size_t count_, position_ = 0;
  std::function<Value(size_t)> element_;
};

/// The index that `key` means in a sequence of `size`; nothing when there is none.
std::optional<int64_t> index_of(const Value& key, int64_t size) {
  if (!key.is_integer()) return std::nullopt;
  int64_t index = to_index(key);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return std::nullopt;
  return index;
}

}  // namespace

Range::Range(int64_t start, int64_t stop, int64_t step) : start_(start), stop_(stop), step_(step) {
  if (step == 0) refuse(Fault::value_error, "range() arg 3 must not be zero");
  for (int64_t number : {start, stop, step})
    if (number > largest || number < -largest) refuse(Fault::overflow_error, "range() of {} is too large", number);
  const bool empty = step > 0 ? start >= stop : start <= stop;
  if (empty) return;
  const auto distance =
      step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start) : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : ~static_cast<uint64_t>(step) + 1;
  const uint64_t count = (distance - 1) / stride + 1;
  if (count > longest) refuse(Fault::overflow_error, "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", longest);
  count_ = static_cast<int64_t>(count);
}

std::string Range::repr(Run&) {
  return step_ == 1 ? fmt::format("range({}, {})", start_, stop_) : fmt::format("range({}, {}, {})", start_, stop_, step_);
}

IteratorPtr Range::iterate(Run&) {
  return std::make_unique<Indexed>(shared_from_this(), static_cast<size_t>(count_),
                                   [this](size_t i) { return Value(at(static_cast<int64_t>(i))); });
}

std::optional<Value> Range::attribute(Run& run, std::string_view name) {
  if (name == "start") return start_;
  if (name == "stop") return stop_;
  if (name == "step") return step_;
  if (name != "count" && name != "index") return std::nullopt;
  auto self = shared_from_this();
  const bool counts = name == "count";
  auto body = [self, counts](Run& inner, Arguments& arguments) -> Value {
    Bound a = bind(arguments, counts ? "count" : "index", {""}, 1);
    const std::vector<Value> items = elements(inner, self);
    auto found = std::find_if(items.begin(), items.end(), [&](const Value& item) { return equal(inner, item, a[0]); });
    if (counts) return int64_t{found != items.end()};
    if (found == items.end()) refuse(Fault::value_error, "{} is not in range", jinja::repr(inner, a[0]));
    return static_cast<int64_t>(found - items.begin());
  };
  return run.make<Function>("builtin_function_or_method", std::string(name), body);
}

std::optional<Value> Range::item(Run&, const Value& key) {
  auto index = index_of(key, count_);
  return index ? std::optional<Value>(at(*index)) : std::nullopt;
}

bool Range::equals(Run&, const Object& other) {
  auto* range = dynamic_cast<const Range*>(&other);
  if (!range || range->count_ != count_) return false;
  return count_ == 0 || (range->start_ == start_ && (count_ == 1 || range->step_ == step_));
}

size_t Range::hash(Run&) { return static_cast<size_t>(count_ == 0 ? 0 : count_ * 31 + start_); }

std::string_view DictView::type_name() const {
  return kind_ == Kind::keys ? "dict_keys" : kind_ == Kind::values ? "dict_values" : "dict_items";
}

std::string DictView::repr(Run& run) {
  TextBuilder text(run);
  text += type_name();
  text += "(";
  append_repr(text, run, run.list(elements(run, shared_from_this())));
  text += ")";
  return text.take();
}

IteratorPtr DictView::iterate(Run& run) {
  return std::make_unique<Indexed>(shared_from_this(), dict_.dict().entries.size(), [this, &run](size_t i) {
    const auto& [key, value] = dict_.dict().entries[i];
    return kind_ == Kind::keys ? key : kind_ == Kind::values ? value : run.tuple({key, value});
  });
}

std::optional<size_t> DictView::length(Run&) { return dict_.dict().entries.size(); }

namespace {

class GeneratorIterator : public Iterator {
 public:
  explicit GeneratorIterator(std::shared_ptr<Object> generator) : owner_(std::move(generator)) {}
  bool next(Run& run, Value& value) override { return static_cast<Generator&>(*owner_).next(run, value); }

 private:
  std::shared_ptr<Object> owner_;
};

}  // namespace

std::string Generator::repr(Run&) { return fmt::format("<generator object {}>", name_); }

IteratorPtr Generator::iterate(Run&) { return std::make_unique<GeneratorIterator>(shared_from_this()); }

bool Generator::next(Run& run, Value& value) {
  run.step();
  if (running_) refuse(Fault::value_error, "generator already executing");
  if (!step_) return false;
  running_ = true;
  bool more = step_(run, value);
  running_ = false;
  if (!more) step_ = nullptr;
  return more;
}

std::string Namespace::repr(Run& run) {
  DictBuilder dict(run);
  for (const auto& [name, value] : attributes_) dict.set(run.string(name), value);
  return fmt::format("<Namespace {}>", jinja::repr(run, dict.value()));
}

std::optional<Value> Namespace::attribute(Run& run, std::string_view name) {
  run.step(attributes_.size() / 8);
  for (const auto& [key, value] : attributes_)
    if (key == name) return value;
  return std::nullopt;
}

void Namespace::set(Run& run, const std::string& name, Value value) {
  run.step(attributes_.size() / 8);
  for (auto& [key, old] : attributes_) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  attributes_.emplace_back(name, std::move(value));
}

std::string Bytes::repr(Run&) {
  const char quote = data_.find('\'') != std::string::npos && data_.find('"') == std::string::npos ? '"' : '\'';
  std::string text = std::string("b") + quote;
  for (unsigned char c : data_) {
    if (c == '\n' || c == '\r' || c == '\t') {
      text += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (c < 0x20 || c > 0x7E) {
      text += fmt::format("\\x{:02x}", c);
    } else {
      if (c == '\\' || c == static_cast<unsigned char>(quote)) text += '\\';
      text += static_cast<char>(c);
    }
  }
  return text + quote;
}

IteratorPtr Bytes::iterate(Run&) {
  return std::make_unique<Indexed>(shared_from_this(), data_.size(),
                                   [this](size_t i) { return Value(int64_t{static_cast<unsigned char>(data_[i])}); });
}

std::optional<Value> Bytes::attribute(Run& run, std::string_view name) {
  if (name != "decode" && name != "hex") return std::nullopt;
  auto self = std::static_pointer_cast<Bytes>(shared_from_this());
  const bool hex = name == "hex";
  return run.make<Function>("builtin_function_or_method", std::string(name), [self, hex](Run& inner, Arguments&) {
    if (!hex) return inner.string(self->data_);
    TextBuilder text(inner);
    for (unsigned char c : self->data_) text += fmt::format("{:02x}", c);
    return text.value();
  });
}

std::optional<Value> Bytes::item(Run&, const Value& key) {
  auto index = index_of(key, static_cast<int64_t>(data_.size()));
  if (!index) return std::nullopt;
  return int64_t{static_cast<unsigned char>(data_[static_cast<size_t>(*index)])};
}

bool Bytes::equals(Run&, const Object& other) {
  auto* bytes = dynamic_cast<const Bytes*>(&other);
  return bytes && bytes->data_ == data_;
}

size_t Bytes::hash(Run&) { return hash_text(data_); }

std::optional<Value> Cycler::attribute(Run& run, std::string_view name) {
  if (name == "items") return items_;
  if (name == "pos") return static_cast<int64_t>(position_);
  if (name == "current") return current();
  if (name != "next" && name != "reset") return std::nullopt;
  auto self = std::static_pointer_cast<Cycler>(shared_from_this());
  const bool advance = name == "next";
  auto body = [self, advance](Run&, Arguments& arguments) -> Value {
    bind(arguments, advance ? "next" : "reset", {});
    Value value = advance ? self->current() : Value(None{});
    self->position_ = advance ? (self->position_ + 1) % self->items_.items().size() : 0;
    return value;
  };
  return run.make<Function>("method", std::string(name), body, depth());
}

Value Joiner::call(Run& run, Arguments& arguments) {
  bind(arguments, "joiner", {});
  if (!used_) {
    used_ = true;
    return run.string("");
  }
  return separator_;
}

}  // namespace nibble::jinja
