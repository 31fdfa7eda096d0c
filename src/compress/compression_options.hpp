#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compress/compression_methods.hpp"
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

/// Precisions by the names of weights' constants.
using AssignedPrecisions = std::map<std::string, WeightConfig>;

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

  /// Instead of what mode, ratio, all_layers and backup say. Modes of up to 4 bits must be `mode`. Weights without one stay float.
  std::optional<AssignedPrecisions> assigned = {};

  // Methods for layers of up to 4 bits. AWQ needs no data but is better with it, the others need it.
  std::optional<bool> awq = {};               ///< scales columns before quantization
  std::optional<bool> scale_estimation = {};  ///< scales from the outputs' error
  std::optional<bool> gptq = {};              ///< quantizes column by column, each making up for those before
  std::optional<bool> lora_correction = {};   ///< low-rank adapters beside the weights
  int64_t subset_size = 128;                  ///< calibration samples to take
  AdvancedCompressionParameters advanced = {};
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
  bool awq, scale_estimation, gptq, lora_correction;
  bool has_data;
  size_t subset_size;
  AdvancedCompressionParameters advanced;

  /// Whether layers are ranked by what they read.
  bool ranks_by_data() const { return has_data && ratio != 1 && sensitivity_metric != SensitivityMetric::weight_quantization_error; }
  bool awq_takes_data() const { return awq && has_data && advanced.awq_params.prefer_data_aware_scaling; }
  /// Whether a method needs the means of what every layer reads; AWQ needs those of some.
  bool needs_all_means() const { return lora_correction || mode == CompressWeightsMode::adaptive_codebook || (scale_estimation && !gptq); }
};

/// Checks options and fills defaults in. `has_data`: calibration samples are given. Throws Error{invalid_argument} for combinations that
/// NNCF refuses.
CompressionPlan plan_compression(const WeightCompression& options, bool has_data = false);

}  // namespace nibble
