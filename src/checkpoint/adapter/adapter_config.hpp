#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble {

/// adapter_config.json of a LoRA adapter as PEFT writes it. Immutable, thread-safe.
class AdapterConfig {
 public:
  /// Throws Error{unsupported} for other methods than LoRA and for variants of it that more than a sum of weights and products belongs to,
  /// naming them; Error{corrupt} for values of a wrong type.
  explicit AdapterConfig(const std::filesystem::path& directory);

  const std::string& where() const { return where_; }
  /// Of a module ("model.layers.0.self_attn.q_proj"): the entry of rank_pattern that fits, or the rank of all.
  int64_t rank(const std::string& module) const;
  /// What the product of the two factors is multiplied by: alpha / rank, or alpha / sqrt(rank).
  float scale(const std::string& module) const;
  bool is_dora() const { return is_dora_; }
  /// Weights are stored as [in, out] (Conv1D).
  bool is_fan_in_fan_out() const { return is_fan_in_fan_out_; }

 private:
  using Patterns = std::vector<std::pair<std::string, double>>;  // in the order of the file: the first that fits counts

  std::string where_;
  double rank_ = 8, alpha_ = 8;
  Patterns ranks_, alphas_;
  bool has_root_scale_ = false, is_dora_ = false, is_fan_in_fan_out_ = false;
};

}  // namespace nibble
