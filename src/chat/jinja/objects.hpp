#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "chat/jinja/object.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// range(start, stop, step) of at most `longest` elements; throws Failure{overflow_error} beyond.
class Range : public Object {
 public:
  static constexpr int64_t longest = 100'000;
  static constexpr int64_t largest = int64_t{1} << 58;  // sums of these stay within 64 bits
  Range(int64_t start, int64_t stop, int64_t step);
  std::string_view type_name() const override { return "range"; }
  std::string repr(Run& run) override;
  bool iterable() const override { return true; }
  bool subscriptable() const override { return true; }
  IteratorPtr iterate(Run& run) override;
  std::optional<size_t> length(Run&) override { return static_cast<size_t>(count_); }
  std::optional<Value> attribute(Run& run, std::string_view name) override;
  std::optional<Value> item(Run& run, const Value& key) override;
  bool equals(Run& run, const Object& other) override;
  size_t hash(Run& run) override;
  int64_t at(int64_t index) const { return start_ + index * step_; }
  int64_t step() const { return step_; }

 private:
  int64_t start_, stop_, step_, count_ = 0;
};

/// dict.keys(), .values() or .items().
class DictView : public Object {
 public:
  enum class Kind { keys, values, items };
  DictView(Value dict, Kind kind) : dict_(std::move(dict)), kind_(kind) {}
  std::string_view type_name() const override;
  std::string repr(Run& run) override;
  uint32_t depth() const override { return dict_.depth() + 1; }
  bool iterable() const override { return true; }
  IteratorPtr iterate(Run& run) override;
  std::optional<size_t> length(Run& run) override;

 private:
  Value dict_;
  Kind kind_;
};

/// A Python generator: yields once. `step` sets its argument and returns true, or returns false at the end.
class Generator : public Object {
 public:
  using Step = std::function<bool(Run&, Value&)>;
  /// `depth`: of the deepest value that `step` holds.
  Generator(std::string name, uint32_t depth, Step step) : name_(std::move(name)), depth_(depth + 1), step_(std::move(step)) {}
  std::string_view type_name() const override { return "generator"; }
  std::string repr(Run& run) override;
  uint32_t depth() const override { return depth_; }
  bool iterable() const override { return true; }
  IteratorPtr iterate(Run& run) override;
  bool next(Run& run, Value& value);

 private:
  std::string name_;
  uint32_t depth_;
  Step step_;
  bool running_ = false;
};

/// namespace(): the one thing that templates may change. Owned by the rendering until its end, because it may hold itself.
class Namespace : public Object {
 public:
  std::string_view type_name() const override { return "Namespace"; }
  std::string repr(Run& run) override;
  std::optional<Value> attribute(Run& run, std::string_view name) override;
  void set(Run& run, const std::string& name, Value value);
  void release() override { attributes_.clear(); }

 private:
  std::vector<std::pair<std::string, Value>> attributes_;
};

/// bytes, as str.encode() makes them: can be shown, measured, indexed and decoded.
class Bytes : public Object {
 public:
  explicit Bytes(std::string data) : data_(std::move(data)) {}
  std::string_view type_name() const override { return "bytes"; }
  std::string repr(Run& run) override;
  bool iterable() const override { return true; }
  bool subscriptable() const override { return true; }
  IteratorPtr iterate(Run& run) override;
  std::optional<size_t> length(Run&) override { return data_.size(); }
  std::optional<Value> attribute(Run& run, std::string_view name) override;
  std::optional<Value> item(Run& run, const Value& key) override;
  bool equals(Run& run, const Object& other) override;
  size_t hash(Run& run) override;

 private:
  std::string data_;
};

/// A function of the engine, possibly bound to the value it is a method of.
class Function : public Object {
 public:
  using Body = std::function<Value(Run&, Arguments&)>;
  Function(std::string_view type, std::string name, Body body, uint32_t depth = 0)
      : type_(type), name_(std::move(name)), body_(std::move(body)), depth_(depth) {}
  std::string_view type_name() const override { return type_; }
  std::string repr(Run&) override { return fmt::format("<{} {}>", type_ == "type" ? "class" : "function", name_); }
  uint32_t depth() const override { return depth_; }
  bool callable() const override { return true; }
  Value call(Run& run, Arguments& arguments) override { return body_(run, arguments); }

 private:
  std::string_view type_;
  std::string name_;
  Body body_;
  uint32_t depth_;
};

/// cycler(...): next(), reset(), current.
class Cycler : public Object {
 public:
  explicit Cycler(Value items) : items_(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  uint32_t depth() const override { return items_.depth() + 1; }
  std::optional<Value> attribute(Run& run, std::string_view name) override;

 private:
  Value current() const { return items_.items()[position_]; }
  Value items_;
  size_t position_ = 0;
};

/// joiner(separator): nothing on the first call, then the separator.
class Joiner : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  uint32_t depth() const override { return separator_.depth() + 1; }
  bool callable() const override { return true; }
  Value call(Run& run, Arguments& arguments) override;

 private:
  Value separator_;
  bool used_ = false;
};

}  // namespace nibble::jinja
