#pragma once

#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "compress/compressed_weight.hpp"
#include "compress/compression_options.hpp"
#include "compress/weighted_layers.hpp"

namespace nibble {

/// A weight and what it becomes.
struct AssignedWeight {
  WeightedLayer layer;                 ///< the first that reads it
  std::optional<WeightConfig> config;  ///< nothing = stays float
  bool ratio_defining = false;         ///< counts for the ratio
  size_t elements = 0;
};

/// Which weight gets which precision, as NNCF decides: docs/quantization.md. One entry per constant, in the order of the layers.
struct PrecisionAssignment {
  std::vector<AssignedWeight> weights;
  std::vector<size_t> chosen;  ///< into weights: those that may get the main precision, and have it until some are given up for the ratio
};

/// Everything but the ratio. `ignored` holds layers and constants.
PrecisionAssignment assign_precisions(const std::vector<WeightedLayer>& layers, const std::unordered_set<const Node*>& ignored,
                                      const CompressionPlan& plan, size_t codebook_size);

/// Least sensitive weights keep the main precision until their share would reach the ratio; the others take the backup. `scores` has one
/// entry for each chosen weight.
void apply_ratio(PrecisionAssignment& assignment, std::span<const double> scores, const CompressionPlan& plan);

/// Gives weights the precisions that `assigned` has by the names of their constants, and leaves the others float. Throws
/// Error{invalid_argument} for names that are no candidates.
void apply_assigned(PrecisionAssignment& assignment, const AssignedPrecisions& assigned);

/// Throws Error{invalid_argument} when the group size does not divide the width of a layer that has the main precision.
void check_group_sizes(const PrecisionAssignment& assignment, int64_t group_size);

}  // namespace nibble
