#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "chat/jinja/value.hpp"

namespace nibble::jinja {

class Run;

/// What a call passes.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  /// Takes the named argument out.
  std::optional<Value> take(std::string_view name);
};

/// Yields elements one by one. For one thread.
class Iterator {
 public:
  virtual ~Iterator() = default;
  /// False at the end; then `value` is unchanged.
  virtual bool next(Run& run, Value& value) = 0;
};
using IteratorPtr = std::unique_ptr<Iterator>;

/// A value that is neither a scalar nor a plain container: ranges, namespaces, macros, generators, bound methods ...
/// The defaults are those of a Python object without any special method. For one thread.
class Object : public Tracked, public std::enable_shared_from_this<Object> {
 public:
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  virtual std::string repr(Run& run);
  virtual uint32_t depth() const { return 0; }
  virtual bool truth(Run& run);
  virtual bool callable() const { return false; }
  virtual Value call(Run& run, Arguments& arguments);
  /// Null when it cannot be iterated.
  virtual IteratorPtr iterate(Run& run);
  virtual bool iterable() const { return false; }
  virtual std::optional<size_t> length(Run& run);
  /// Attribute of that name; nothing where Python raises AttributeError.
  virtual std::optional<Value> attribute(Run& run, std::string_view name);
  /// object[key]; nothing where Python raises TypeError or LookupError.
  virtual std::optional<Value> item(Run& run, const Value& key);
  /// True for what has __getitem__.
  virtual bool subscriptable() const { return false; }
  virtual bool equals(Run& run, const Object& other);
  virtual size_t hash(Run& run);
  /// Lets go of all values: called at the end of the run for objects that Run::keep owns.
  virtual void release() {}
};

}  // namespace nibble::jinja
