#pragma once

#include <set>
#include <string>
#include <string_view>

namespace nibble {

/// The `names` of a port: comma-separated, a comma inside a name written as `\,`. Empty names are dropped on reading.
std::set<std::string> split_tensor_names(std::string_view text);
std::string join_tensor_names(const std::set<std::string>& names);

}  // namespace nibble
