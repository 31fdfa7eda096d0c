#pragma once

#include <vector>

#include "device/cpu/positional.hpp"

namespace nibble::cpu {

/// What an attention mask lets a token see, and what it adds to the scores.
struct MaskKind {
  size_t window = 0;          ///< tokens seen, itself included; 0: all before and itself
  std::vector<float> slopes;  ///< ALiBi, per head; empty: none
  float slope_unit = 0;       ///< as in AttentionParameters
};

/// Finds out by computing the mask for a few windows, so it does not matter how a graph builds it. `scale` is that of the scores, which
/// multiplies slopes that are rounded too. Throws Error{unsupported} for masks of other kinds.
MaskKind classify_mask(Value mask, size_t heads, float scale, const PositionalValues& positional);

}  // namespace nibble::cpu
