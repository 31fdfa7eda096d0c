#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace nibble {

/// The types that a parameter may have by its JSON schema. All false: nothing is said.
struct ParameterTypes {
  bool text = false, other = false, null = false;  ///< "other": numbers, booleans, objects, arrays
};

/// What the tools of a conversation say about their parameters. Immutable and thread-safe.
class ToolSchemas {
 public:
  /// From the JSON array that templates get: {"type": "function", "function": {"name", "parameters"}} or the function alone.
  /// Throws Error{invalid_argument} for what is no JSON array; entries of other forms are passed over.
  static ToolSchemas from_json(std::string_view tools);

  bool empty() const { return empty_; }
  ParameterTypes types(const std::string& tool, const std::string& parameter) const;

 private:
  std::map<std::string, std::map<std::string, ParameterTypes>> tools_;
  bool empty_ = true;
};

}  // namespace nibble
