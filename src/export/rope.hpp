#pragma once

#include <vector>

#include "export/model_config.hpp"

namespace nibble {

/// How a rotary embedding turns positions into angles: angle[p][i] = p * inverse_frequency[i]; cos and sin are then
/// multiplied by attention_factor. Formulas: transformers' modeling_rope_utils.
struct Rope {
  int64_t dims = 0;  ///< rotated dimensions of a head; inverse_frequencies has half as many entries
  std::vector<float> inverse_frequencies;
  float attention_factor = 1.0f;

  /// longrope: used instead for every position as soon as one reaches `switch_length` (empty otherwise).
  std::vector<float> long_inverse_frequencies;
  float long_attention_factor = 1.0f;  ///< likewise
  int64_t switch_length = 0;

  /// dynamic NTK: beyond max_positions the base grows to theta * (factor*length/max_positions - (factor-1))^(dims/(dims-2)).
  bool dynamic = false;
  double theta = 10000.0, factor = 1.0;
  int64_t max_positions = 0;
};

/// Reads rope_theta, rope_scaling (both spellings of its type) or transformers 5's rope_parameters.
/// `default_rotated`: the part of a head that rotates where partial_rotary_factor is not there.
/// Throws Error{unsupported} for an unknown scaling and Error{corrupt} for missing or wrong-sized factors.
Rope make_rope(const ModelConfig& config, int64_t head_dim, int64_t max_positions, double default_theta = 10000.0,
               double default_rotated = 1.0);

}  // namespace nibble
