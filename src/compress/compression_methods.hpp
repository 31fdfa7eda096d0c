#pragma once

#include <cstdint>

namespace nibble {

// Parameters of the methods that look at activations: nncf.AdvancedCompressionParameters, with its names and defaults. `subset_size` is
// how many calibration samples a method takes.

/// Activation-aware weight scaling (compress/awq.hpp).
struct AwqParameters {
  int64_t subset_size = 32;
  double percent_to_apply = 0.002;  ///< share of columns whose groups are searched for a scale
  double alpha_min = 0.0;           ///< exponents of the search: from alpha_min towards alpha_max in `steps` steps
  double alpha_max = 1.0;
  int64_t steps = 100;
  bool prefer_data_aware_scaling = true;  ///< false: scales come from the weights alone even where there is data
};

/// Scale estimation (compress/scale_estimation.hpp).
struct ScaleEstimationParameters {
  int64_t subset_size = 64;
  int64_t initial_steps = 5;     ///< rectifications of the scale
  int64_t scale_steps = 5;       ///< starting points 1, 0.95, 0.9, ... times the first scale
  double weight_penalty = -1.0;  ///< weight of the weights' own error beside the outputs'; not positive = none
};

/// GPTQ (compress/gptq.hpp).
struct GptqParameters {
  double damp_percent = 0.1;  ///< share of the Hessian's mean diagonal that is added to it
  int64_t block_size = 128;
  int64_t subset_size = 128;
};

/// Low-rank adapters that make up for quantization errors (compress/lora_correction.hpp).
struct LoraCorrectionParameters {
  int64_t adapter_rank = 8;
  int64_t num_iterations = 3;
  bool apply_regularization = true;
  int64_t subset_size = 128;
  bool use_int8_adapters = true;
};

/// Codebooks made for each weight (compress/codebook_estimation.hpp). Their entries are f8e4m3.
struct AdaptiveCodebookParameters {
  int64_t num_elements = 16;
};

struct AdvancedCompressionParameters {
  AwqParameters awq_params = {};
  ScaleEstimationParameters scale_estimation_params = {};
  GptqParameters gptq_params = {};
  LoraCorrectionParameters lora_correction_params = {};
  AdaptiveCodebookParameters adaptive_codebook_params = {};
};

}  // namespace nibble
