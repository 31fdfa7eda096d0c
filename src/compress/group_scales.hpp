#pragma once

#include <cstdint>
#include <vector>

namespace nibble {

/// Scales and (asymmetric modes) zero points of all groups of a weight, in the order of its WeightLayout.
struct GroupScales {
  std::vector<float> scales;
  std::vector<uint8_t> zero_points;
};

}  // namespace nibble
