#include "base/json.hpp"

#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"

namespace nibble {

nlohmann::json parse_json(std::string_view text, std::string_view where) {
  constexpr int kMaxDepth = 256;
  auto check_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxDepth) fail(ErrorKind::corrupt, "{}: nested more than {} levels deep", where, kMaxDepth);
    return true;
  };
  nlohmann::json json = nlohmann::json::parse(text, check_depth, false);
  if (json.is_discarded()) fail(ErrorKind::corrupt, "{}: not valid JSON", where);
  return json;
}

nlohmann::json read_json_object(const std::filesystem::path& path, size_t max_bytes) {
  nlohmann::json json = parse_json(read_file(path, max_bytes), path.string());
  if (!json.is_object()) fail(ErrorKind::corrupt, "{}: expected a JSON object", path.string());
  return json;
}

}  // namespace nibble
