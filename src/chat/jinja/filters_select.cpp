#include <array>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/attributes.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"

namespace nibble::jinja {

namespace {

uint32_t depth_of(const Arguments& arguments) {
  uint32_t depth = 0;
  for (const Value& value : arguments.positional) depth = std::max(depth, value.depth());
  for (const auto& [name, value] : arguments.named) depth = std::max(depth, value.depth());
  return depth;
}

/// The first argument, which every filter has; the others stay.
Value take_subject(Arguments& arguments, std::string_view filter) {
  if (arguments.positional.empty()) refuse(Fault::type_error, "{}() missing 1 required positional argument: 'value'", filter);
  Value subject = std::move(arguments.positional.front());
  arguments.positional.erase(arguments.positional.begin());
  return subject;
}

std::string take_name(Arguments& arguments) {
  const Value name = std::move(arguments.positional.front());
  arguments.positional.erase(arguments.positional.begin());
  if (!name.is_string()) refuse(Fault::template_runtime_error, "No filter or test of a name that is not a string");
  return name.text();
}

using Transform = std::function<Value(Run&, const Value&)>;

/// What the map filter does with each item: an attribute of it, or a filter on it.
Transform make_transform(Arguments arguments) {
  if (arguments.positional.empty()) {
    auto attribute = arguments.take("attribute");
    if (!attribute) refuse(Fault::filter_argument_error, "map requires a filter argument");
    Value absent = arguments.take("default").value_or(Value());
    if (!arguments.named.empty()) refuse(Fault::filter_argument_error, "Unexpected keyword argument '{}'", arguments.named.front().first);
    return [path = *attribute, absent](Run& run, const Value& item) { return get_path(run, item, path, absent); };
  }
  const std::string name = take_name(arguments);
  // Without items an unknown name does no harm, so it is an error on the first one only.
  return [arguments = std::move(arguments), name, filter = find_filter(name)](Run& run, const Value& item) {
    if (!filter) refuse(Fault::template_runtime_error, "No filter named '{}'.", name);
    Arguments call = arguments;
    call.positional.insert(call.positional.begin(), item);
    return filter->body(run, call);
  };
}

Value map(Run& run, Arguments& arguments) {
  const Value subject = take_subject(arguments, "map");
  const uint32_t depth = std::max(subject.depth(), depth_of(arguments));
  // As in a Python generator nothing happens, and nothing fails, before the first item is asked for.
  auto step = [subject, arguments, transform = Transform(), iterator = std::shared_ptr<Iterator>()](Run& inner, Value& value) mutable {
    if (!iterator) {
      if (!truth(inner, subject)) return false;
      transform = make_transform(std::move(arguments));
      iterator = iterate(inner, subject);
    }
    Value item;
    if (!iterator->next(inner, item)) return false;
    value = transform(inner, item);
    return true;
  };
  return run.make<Generator>("sync_do_map", depth, std::move(step));
}

using Condition = std::function<bool(Run&, const Value&)>;

/// What the select filters ask of each item: a test of it or of its attribute, or its truth.
Condition make_condition(Arguments arguments, bool of_attribute) {
  Value path;
  if (of_attribute) {
    if (arguments.positional.empty()) refuse(Fault::filter_argument_error, "Missing parameter for attribute name");
    path = std::move(arguments.positional.front());
    arguments.positional.erase(arguments.positional.begin());
  }
  if (arguments.positional.empty()) return [path](Run& run, const Value& item) { return truth(run, get_path(run, item, path, Value())); };
  const std::string name = take_name(arguments);
  return [arguments = std::move(arguments), name, test = find_test(name), path](Run& run, const Value& item) {
    if (!test) refuse(Fault::template_runtime_error, "No test named '{}'.", name);
    Arguments call = arguments;
    call.positional.insert(call.positional.begin(), get_path(run, item, path, Value()));
    return test->body(run, call);
  };
}

template <bool wanted, bool of_attribute>
Value select(Run& run, Arguments& arguments) {
  const Value subject = take_subject(arguments, "select");
  const uint32_t depth = std::max(subject.depth(), depth_of(arguments));
  auto step = [subject, arguments, condition = Condition(), iterator = std::shared_ptr<Iterator>()](Run& inner, Value& value) mutable {
    if (!iterator) {
      if (!truth(inner, subject)) return false;
      condition = make_condition(std::move(arguments), of_attribute);
      iterator = iterate(inner, subject);
    }
    for (Value item; iterator->next(inner, item);) {
      if (condition(inner, item) != wanted) continue;
      value = item;
      return true;
    }
    return false;
  };
  return run.make<Generator>("select_or_reject", depth, std::move(step));
}

constexpr std::array filters = {
    Filter{"map", map},
    Filter{"select", select<true, false>},
    Filter{"reject", select<false, false>},
    Filter{"selectattr", select<true, true>},
    Filter{"rejectattr", select<false, true>},
};

}  // namespace

std::span<const Filter> select_filters() { return filters; }

}  // namespace nibble::jinja
