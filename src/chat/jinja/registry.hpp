#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "chat/jinja/object.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// A filter: arguments.positional[0] is what it is applied to.
struct Filter {
  std::string_view name;
  Value (*body)(Run& run, Arguments& arguments);
};

/// A test, called likewise.
struct Test {
  std::string_view name;
  bool (*body)(Run& run, Arguments& arguments);
};

/// The tables, by what the filters are about.
std::span<const Filter> case_filters();
std::span<const Filter> layout_filters();
std::span<const Filter> markup_filters();
std::span<const Filter> number_filters();
std::span<const Filter> sequence_filters();
std::span<const Filter> order_filters();
std::span<const Filter> select_filters();
std::span<const Filter> value_filters();
std::span<const Test> tests();

/// Null when there is none of that name.
const Filter* find_filter(std::string_view name);
const Test* find_test(std::string_view name);

/// The functions that every template may call: range, dict, namespace, cycler, joiner, lipsum, raise_exception, strftime_now.
std::optional<Value> global_function(Run& run, std::string_view name);

}  // namespace nibble::jinja
