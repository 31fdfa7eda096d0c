#pragma once

#include <vector>

#include "compress/precision_ladder.hpp"
#include "compress/precision_path.hpp"
#include "nibble/compress.hpp"

namespace nibble {

/// What a search decided for each weight and why, in the order of the ladder. `prices` and `is_measured` have an entry for each weight.
std::vector<WeightDecision> decisions(const std::vector<LadderWeight>& ladder, const std::vector<std::vector<PrecisionPrice>>& prices,
                                      const std::vector<bool>& is_measured, const PrecisionSelection& selection);

}  // namespace nibble
