#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace nibble {

/// A Hugging Face config.json with typed, checked access. Absent keys and nulls take the family's class default.
/// A value of the wrong type or range throws Error{corrupt} naming file and key. Immutable, thread-safe.
class ModelConfig {
 public:
  /// Reads `directory`/config.json.
  explicit ModelConfig(const std::filesystem::path& directory);
  ModelConfig(nlohmann::json json, std::string where) : json_(std::move(json)), where_(std::move(where)) {}

  const nlohmann::json& json() const { return json_; }
  const std::string& where() const { return where_; }
  bool has(std::string_view key) const;

  /// A whole number of at least 1 and at most 2^31.
  int64_t size(std::string_view key, int64_t fallback) const;
  std::optional<int64_t> optional_size(std::string_view key) const;
  double number(std::string_view key, double fallback) const;
  bool flag(std::string_view key, bool fallback) const;
  std::string text(std::string_view key, std::string_view fallback) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;
  /// The same with other keys: {"n_embd", "hidden_size"} lets what is under "n_embd" be found under "hidden_size", where it then wins.
  ModelConfig renamed(std::initializer_list<std::pair<const char*, const char*>> keys) const;
  /// The object under `key`; empty where it is absent or null.
  ModelConfig object(std::string_view key) const;

  /// "llama", from model_type or, where that is missing, from architectures.
  std::string model_type() const;

 private:
  const nlohmann::json* find(std::string_view key) const;
  [[noreturn]] void wrong(std::string_view key, std::string_view expected) const;

  nlohmann::json json_;
  std::string where_;
};

}  // namespace nibble
