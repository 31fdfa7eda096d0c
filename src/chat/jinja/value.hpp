#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "chat/jinja/big_integer.hpp"
#include "chat/jinja/failure.hpp"

namespace nibble::jinja {

class Object;

/// The memory that the values of one rendering hold. For one thread.
class Meter {
 public:
  explicit Meter(size_t limit) : limit_(limit) {}
  /// Throws Failure{limit} when `bytes` more are not to be had.
  void take(size_t bytes) {
    require(bytes);
    used_ += bytes;
  }
  void give(size_t bytes) { used_ -= bytes; }
  void require(size_t bytes) const {
    if (bytes > limit_ - used_) refuse(Fault::limit, "the template needs more than {} bytes of memory", limit_);
  }

 private:
  size_t limit_, used_ = 0;
};

/// Base of what counts against a Meter for as long as it lives. Constants of the template itself count nowhere.
class Tracked {
 public:
  Tracked() = default;
  Tracked(const Tracked&) = delete;
  Tracked& operator=(const Tracked&) = delete;
  ~Tracked() {
    if (meter_) meter_->give(bytes_);
  }
  void track(Meter& meter, size_t bytes) {
    meter.take(bytes);
    meter_ = &meter;
    bytes_ = bytes;
  }

 private:
  Meter* meter_ = nullptr;
  size_t bytes_ = 0;
};

struct Missing {};  ///< a variable without a value
struct None {};

/// An undefined value knows what to say when it is used.
struct UndefinedData {
  std::string message;
  Fault fault = Fault::undefined_error;
};

struct StringData : Tracked {
  std::string text;     ///< UTF-8; lone surrogates, which Python strings may hold, as three bytes each
  size_t length = 0;    ///< code points
  bool markup = false;  ///< MarkupSafe's Markup: escapes what is joined to it
  bool ascii() const { return length == text.size(); }
};

struct ListData;
struct TupleData;
struct DictData;

/// A Python value. Immutable, except for what hides behind Object; copying shares. Thread-safe as far as it is immutable.
class Value {
 public:
  using Undefined = std::shared_ptr<const UndefinedData>;
  using Big = std::shared_ptr<const BigInteger>;
  using String = std::shared_ptr<const StringData>;
  using List = std::shared_ptr<const ListData>;
  using Tuple = std::shared_ptr<const TupleData>;
  using Dict = std::shared_ptr<const DictData>;
  using ObjectPtr = std::shared_ptr<Object>;

  Value() = default;
  Value(None none) : data_(none) {}
  template <std::same_as<bool> T>
  Value(T value) : data_(value) {}
  template <std::signed_integral T>
  Value(T value) : data_(static_cast<int64_t>(value)) {}
  Value(double value) : data_(value) {}
  Value(const BigInteger& value);  ///< becomes a 64-bit integer where it fits
  Value(Undefined value) : data_(std::move(value)) {}
  Value(String value) : data_(std::move(value)) {}
  Value(List value) : data_(std::move(value)) {}
  Value(Tuple value) : data_(std::move(value)) {}
  Value(Dict value) : data_(std::move(value)) {}
  template <std::derived_from<Object> T>
  Value(std::shared_ptr<T> value) : data_(ObjectPtr(std::move(value))) {}

  bool is_missing() const { return std::holds_alternative<Missing>(data_); }
  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_small() const { return std::holds_alternative<int64_t>(data_); }
  bool is_big() const { return std::holds_alternative<Big>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  /// int or its subclass bool
  bool is_integer() const { return is_bool() || is_small() || is_big(); }
  bool is_number() const { return is_integer() || is_float(); }
  bool is_string() const { return std::holds_alternative<String>(data_); }
  bool is_markup() const { return is_string() && string().markup; }
  bool is_list() const { return std::holds_alternative<List>(data_); }
  bool is_tuple() const { return std::holds_alternative<Tuple>(data_); }
  bool is_dict() const { return std::holds_alternative<Dict>(data_); }
  bool is_object() const { return std::holds_alternative<ObjectPtr>(data_); }

  const UndefinedData& undefined() const { return *std::get<Undefined>(data_); }
  bool boolean() const { return std::get<bool>(data_); }
  int64_t small() const { return std::get<int64_t>(data_); }
  const BigInteger& big() const { return *std::get<Big>(data_); }
  double real() const { return std::get<double>(data_); }
  const StringData& string() const { return *std::get<String>(data_); }
  const std::string& text() const { return string().text; }
  const ListData& list() const { return *std::get<List>(data_); }
  const TupleData& tuple() const { return *std::get<Tuple>(data_); }
  /// The elements of a list or a tuple.
  const std::vector<Value>& items() const;
  const DictData& dict() const { return *std::get<Dict>(data_); }
  const ObjectPtr& object() const { return std::get<ObjectPtr>(data_); }
  /// The object if it is a T.
  template <class T>
  T* as() const {
    return is_object() ? dynamic_cast<T*>(object().get()) : nullptr;
  }

  /// Levels of containers inside; the factories of Run bound it, so that walking a value cannot exhaust the stack.
  uint32_t depth() const;
  /// Python's `is`.
  bool same(const Value& other) const;

 private:
  std::variant<Missing, Undefined, None, bool, int64_t, Big, double, String, List, Tuple, Dict, ObjectPtr> data_;
};

struct SequenceData : Tracked {
  std::vector<Value> items;
  uint32_t depth = 1;
};
struct ListData : SequenceData {};
struct TupleData : SequenceData {
  bool group = false;  ///< of groupby: has the attributes `grouper` and `list`
};

/// A dict in order of insertion.
struct DictData : Tracked {
  std::vector<std::pair<Value, Value>> entries;
  std::unordered_multimap<size_t, uint32_t> index;  ///< from hash to entry; empty for small dicts
  uint32_t depth = 1;
};

/// Python's name of the type: "str", "NoneType", "list" ...
std::string_view type_name(const Value& value);

}  // namespace nibble::jinja
