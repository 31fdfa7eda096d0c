#pragma once

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::tokenizer {

/// A value inside a JSON file that knows where it stands, so that a value of the wrong type is an Error{corrupt} which names the
/// file and the place. Borrows the document.
class JsonView {
 public:
  JsonView(const nlohmann::json& value, std::string file) : value_(&value), file_(std::move(file)) {}

  const nlohmann::json& raw() const { return *value_; }
  /// False for missing and for null members.
  bool has(std::string_view key) const;
  /// The member `key`, which must be there.
  JsonView at(std::string_view key) const;
  std::optional<JsonView> find(std::string_view key) const;
  std::vector<JsonView> elements() const;
  std::vector<std::pair<std::string, JsonView>> members() const;

  std::string string() const;
  bool boolean() const;
  double number() const;
  /// An integer of [0, limit].
  uint64_t integer(uint64_t limit) const;
  /// A string of exactly one code point.
  char32_t character() const;

  /// The same for members that may be missing or null.
  std::string string_or(std::string_view key, std::string fallback) const;
  std::optional<std::string> optional_string(std::string_view key) const;
  bool boolean_or(std::string_view key, bool fallback) const;

  /// Throws Error{corrupt}: "<file>: <place> <message>".
  [[noreturn]] void reject(std::string_view message) const;
  /// Throws Error{unsupported}, worded alike.
  [[noreturn]] void refuse(std::string_view message) const;
  std::string place() const;

 private:
  JsonView(const nlohmann::json& value, const JsonView& parent, std::string step);

  const nlohmann::json* value_;
  std::string file_, path_;
  int depth_ = 0;
};

/// Parses a JSON file of at most `limit` bytes; throws Error{corrupt} with the parser's reason.
nlohmann::json parse_json_file(const std::string& path, size_t limit);

}  // namespace nibble::tokenizer
