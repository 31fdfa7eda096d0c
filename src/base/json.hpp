#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace nibble {

/// Parses a JSON document that a stranger may have written. Throws Error{corrupt}, starting with `where`, for what is not
/// JSON or is nested so deeply that copying or printing it would overflow the stack.
nlohmann::json parse_json(std::string_view text, std::string_view where);

/// The object in a JSON file; throws Error{not_found} or, also beyond `max_bytes`, Error{corrupt}.
nlohmann::json read_json_object(const std::filesystem::path& path, size_t max_bytes = size_t{16} << 20);

}  // namespace nibble
