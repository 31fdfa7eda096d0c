#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace nibble {

/// What a checkpoint says of its quantization, with checked access. A value of the wrong type throws Error{corrupt} naming file and key.
/// Immutable, thread-safe.
class QuantizationConfig {
 public:
  QuantizationConfig(nlohmann::json json, std::string where, bool is_promise)
      : json_(std::move(json)), where_(std::move(where)), is_promise_(is_promise) {}

  const nlohmann::json& json() const { return json_; }
  const std::string& where() const { return where_; }
  /// The model's own config.json says it, so there must be quantized layers; a file beside it may be left over.
  bool is_promise() const { return is_promise_; }
  /// "gptq", "awq", ...
  std::string method() const;

  /// Absent keys and nulls give the fallback.
  std::string text(std::string_view key, std::string_view fallback) const;
  bool flag(std::string_view key, bool fallback) const;
  int64_t integer(std::string_view key, int64_t fallback) const;
  /// The object or list under the key; nullptr where there is none or it is empty.
  const nlohmann::json* part(std::string_view key) const;

 private:
  const nlohmann::json* find(std::string_view key) const;
  [[noreturn]] void wrong(std::string_view key, std::string_view expected) const;

  nlohmann::json json_;
  std::string where_;
  bool is_promise_;
};

/// From quantization_config (or compression_config) of config.json, or else from quantize_config.json, quant_config.json or
/// hf_quant_config.json beside it; nothing where there is none.
std::optional<QuantizationConfig> read_quantization_config(const std::filesystem::path& directory);

}  // namespace nibble
