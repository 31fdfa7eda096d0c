#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "nibble/tensor.hpp"

namespace nibble {

/// How weights are stored, under NNCF's names. docs/quantization.md describes the formats.
enum class CompressWeightsMode : uint8_t {
  int8_asym,
  int8_sym,
  int4_asym,
  int4_sym,
  int3_sym,
  int2_sym,
  nf4,
  mxfp4,
  mxfp8_e4m3,
  fp4,
  fp8_e4m3,
  nvfp4,
  cb4,
  codebook,
  adaptive_codebook,
};

/// What weights get that do not take the main precision: embeddings, the last layer, sensitive layers.
enum class BackupMode : uint8_t { none, int8_sym, int8_asym, mxfp8_e4m3, fp8_e4m3 };

/// What happens to a layer whose width is not a multiple of the group size.
enum class GroupSizeFallbackMode : uint8_t { error, ignore, adjust };

/// By what layers are ranked when only a part of them gets the main precision.
enum class SensitivityMetric : uint8_t {
  weight_quantization_error,  ///< the only one that needs no data
  hessian_input_activation,
  mean_activation_variance,
  max_activation_variance,
  mean_activation_magnitude,
};

/// How codes are computed; modes of a family differ in numbers only.
enum class QuantizerFamily : uint8_t { asymmetric, symmetric, floating, levels };

/// The constants of a mode. Immutable data.
struct WeightFormat {
  CompressWeightsMode mode;
  std::string_view name;  ///< NNCF's spelling
  QuantizerFamily family;
  ElementType codes;  ///< element type of the stored codes
  ElementType scale;
  int bits;
  int64_t default_group_size;  ///< -1 = one scale per output channel
  bool group_size_is_fixed;
  BackupMode default_backup;
  float largest;  ///< floating family: largest magnitude of a code, which the scale maps the largest weight to
};

/// What to make of one weight.
struct WeightConfig {
  CompressWeightsMode mode = CompressWeightsMode::int8_asym;
  int64_t group_size = -1;
  bool operator==(const WeightConfig&) const = default;
};

const WeightFormat& weight_format(CompressWeightsMode mode);

std::string_view to_string(CompressWeightsMode mode);
std::string_view to_string(BackupMode mode);
std::string_view to_string(GroupSizeFallbackMode mode);
std::string_view to_string(SensitivityMetric metric);
/// Nothing when the name is unknown.
std::optional<CompressWeightsMode> parse_compress_weights_mode(std::string_view name);
std::optional<BackupMode> parse_backup_mode(std::string_view name);
std::optional<GroupSizeFallbackMode> parse_group_size_fallback_mode(std::string_view name);
std::optional<SensitivityMetric> parse_sensitivity_metric(std::string_view name);

inline bool is_int8(CompressWeightsMode mode) { return mode == CompressWeightsMode::int8_asym || mode == CompressWeightsMode::int8_sym; }
inline bool is_codebook(CompressWeightsMode mode) {
  return mode == CompressWeightsMode::cb4 || mode == CompressWeightsMode::codebook || mode == CompressWeightsMode::adaptive_codebook;
}
/// int3_sym and int2_sym: OpenVINO has no signed type of that width, so codes are stored with an offset.
inline bool is_offset_symmetric(CompressWeightsMode mode) {
  return mode == CompressWeightsMode::int3_sym || mode == CompressWeightsMode::int2_sym;
}
inline bool is_mx(CompressWeightsMode mode) { return mode == CompressWeightsMode::mxfp4 || mode == CompressWeightsMode::mxfp8_e4m3; }

}  // namespace nibble
