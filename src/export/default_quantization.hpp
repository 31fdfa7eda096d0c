#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nibble/compress.hpp"

namespace nibble {

/// The 4-bit configuration that optimum-intel 1.27 takes for a model when none is asked for.
struct DefaultQuantization {
  std::string_view model_id;
  bool sym = false;
  std::optional<int64_t> group_size = {};
  std::optional<double> ratio = {};
  bool all_layers = false, awq = false, scale_estimation = false;
  std::string_view dataset = {};
  std::string_view group_size_fallback = "error";
  /// Layers that stay out of it and become int8_asym in a second pass: patterns of names.
  std::vector<std::string> int8_patterns = {};
};

/// The entry of the first of the names that has one: its whole id; for a path, the id whose part after the slash is the path's last
/// component. nullptr when there is none.
const DefaultQuantization* find_default_quantization(std::span<const std::string> model_ids);

/// The same as options.
WeightOptions default_options(const DefaultQuantization& entry);

}  // namespace nibble
