#pragma once

#include <vector>

#include "device/cpu/positional.hpp"

namespace nibble::cpu {

/// What an attention mask lets a token see, and what it adds to the scores.
struct MaskKind {
  size_t window = 0;          ///< tokens seen, itself included; 0: all before and itself
  std::vector<float> slopes;  ///< ALiBi, per head; empty: none
};

/// Finds out by computing the mask for a few windows, so it does not matter how a graph builds it. Throws Error{unsupported} for masks of
/// other kinds.
MaskKind classify_mask(Value mask, size_t heads, const PositionalValues& positional);

}  // namespace nibble::cpu
