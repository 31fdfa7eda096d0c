#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble {

/// A Hugging Face config.json with typed, checked access. Absent keys and nulls take the family's class default.
/// A value of the wrong type or range throws Error{corrupt} naming file and key. It remembers which keys were asked for, of itself and of
/// its copies; for one thread.
class ModelConfig {
 public:
  /// Reads `directory`/config.json; of a GGUF file (find_gguf) what its metadata says.
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
  /// The same with other values; remembers for both what was asked for.
  ModelConfig changed(nlohmann::json json) const;
  /// The object under `key`; empty where it is absent or null.
  ModelConfig object(std::string_view key) const;

  /// Counts keys as asked for: the family knows them, and they make no difference to this model.
  void knows(std::initializer_list<const char*> keys) const;
  /// What nothing has asked for so far; within objects "rope_scaling.factor".
  std::vector<std::pair<std::string, nlohmann::json>> unread() const;

  /// "llama", from model_type or, where that is missing, from architectures.
  std::string model_type() const;

 private:
  struct Reads {
    std::set<std::string, std::less<>> keys;
    std::map<std::string, std::shared_ptr<Reads>, std::less<>> objects;
  };

  void note(std::string_view key) const;
  const nlohmann::json* find(std::string_view key) const;
  [[noreturn]] void wrong(std::string_view key, std::string_view expected) const;
  static void add_unread(const nlohmann::json& json, const Reads& reads, const std::string& prefix,
                         std::vector<std::pair<std::string, nlohmann::json>>& out);

  nlohmann::json json_;
  std::string where_;
  std::shared_ptr<Reads> reads_ = std::make_shared<Reads>();
  std::multimap<std::string, std::string, std::less<>> originals_;  // of renamed keys
};

}  // namespace nibble
