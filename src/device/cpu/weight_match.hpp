#pragma once

#include <optional>

#include "device/cpu/constant_values.hpp"
#include "device/cpu/weight_matrix.hpp"

namespace nibble::cpu {

/// A constant [.., rows, columns] read as stored: Convert(codes) [- Convert(zero points)] * scales [-> Reshape] [-> Convert], a codebook's
/// Gather(table, codes), or floats. What does not look so is computed and taken as floats. nullopt when `value` is no constant or has
/// fewer than two dimensions.
std::optional<WeightMatrix> match_weight(Value value, ConstantValues& constants);

}  // namespace nibble::cpu
