#pragma once

#include <string>
#include <string_view>

#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// The value of a JSON text, as json.loads reads it: integers of any size, order kept.
/// Throws Failure{value_error} for what is not JSON and Failure{limit} beyond the limits of the run.
Value read_json(Run& run, std::string_view text);

/// The options of json.dumps.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent;  ///< of one level
  std::string item_separator = ", ", key_separator = ": ";
};

/// json.dumps(value). Throws Failure{type_error} for what JSON has no form for.
Value write_json(Run& run, const Value& value, const JsonStyle& style);

}  // namespace nibble::jinja
