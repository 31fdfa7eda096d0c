#pragma once

#include <optional>
#include <unordered_set>
#include <vector>

#include "compress/compressed_weight.hpp"
#include "compress/compression_options.hpp"
#include "compress/weighted_layers.hpp"
#include "nibble/context.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// A weight and what it becomes.
struct AssignedWeight {
  WeightedLayer layer;                 ///< the first that reads it
  std::optional<WeightConfig> config;  ///< nothing = stays float
  bool ratio_defining = false;         ///< counts for the ratio
  size_t elements = 0;
};

/// Decides which weight gets which precision, as NNCF does: docs/quantization.md. One entry per constant, in the order of `layers`.
/// `ignored` holds layers and constants. Throws Error{invalid_argument} when the group size does not divide the width of a
/// layer and there is no fallback, Error{cancelled}.
std::vector<AssignedWeight> assign_precisions(const std::vector<WeightedLayer>& layers, const std::unordered_set<const Node*>& ignored,
                                              const CompressionPlan& plan, size_t codebook_size, Context& context, Progress* progress);

}  // namespace nibble
