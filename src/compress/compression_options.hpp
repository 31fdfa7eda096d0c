#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compress/compression_mode.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// Layers (or constants) that stay as they are.
struct IgnoredScope {
  std::vector<std::string> names;     ///< of nodes
  std::vector<std::string> patterns;  ///< regular expressions that match from the start of a node's name
  std::vector<std::string> types;     ///< of operations, e.g. "MatMul"
  bool validate = true;               ///< a rule that matches nothing is an error

  bool empty() const { return names.empty() && patterns.empty() && types.empty(); }
};

/// Options of nncf.compress_weights, with its names and defaults. What is not given matters: int8 modes refuse
/// options that have no meaning for them.
struct WeightCompression {
  CompressWeightsMode mode = CompressWeightsMode::int8_asym;
  std::optional<int64_t> group_size = {};  ///< default of the mode; -1 = one scale per output channel
  std::optional<double> ratio = {};        ///< share of weights in `mode`, by elements, 1 unless given; 0 means 1, as in NNCF
  std::optional<bool> all_layers = {};     ///< embeddings and the last layer take `mode` too
  std::optional<BackupMode> backup = {};   ///< default of the mode
  std::optional<SensitivityMetric> sensitivity_metric = {};  ///< ranks layers where ratio < 1
  GroupSizeFallbackMode group_size_fallback = GroupSizeFallbackMode::error;
  int64_t min_adjusted_group_size = 32;  ///< `adjust` gives smaller groups up
  IgnoredScope ignored_scope = {};
  Tensor codebook = {};  ///< CompressWeightsMode::codebook only: the levels, sorted
};

/// The same with every default filled in.
struct CompressionPlan {
  CompressWeightsMode mode;
  int64_t group_size;
  double ratio;
  bool ratio_given;
  bool all_layers;
  BackupMode backup;
  SensitivityMetric sensitivity_metric;
  GroupSizeFallbackMode group_size_fallback;
  int64_t min_adjusted_group_size;
};

/// Checks options and fills defaults in. Throws Error{invalid_argument} for combinations that NNCF refuses.
CompressionPlan plan_compression(const WeightCompression& options);

}  // namespace nibble
