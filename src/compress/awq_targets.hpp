#pragma once

#include <optional>
#include <span>
#include <vector>

#include "compress/precision_assignment.hpp"
#include "compress/weight_matrix.hpp"

namespace nibble {

/// A layer whose columns AWQ may scale, and where the division that goes with it finds its place.
struct AwqTarget {
  size_t weight = 0;  ///< into the weights
  MatrixLayout layout;
  bool shared = false;                    ///< all matrices of the weight read the same input: they share their scales
  std::optional<WeightedLayer> previous;  ///< the layer whose rows are divided
  MatrixLayout previous_layout;
  Node* reader = nullptr;  ///< without one: the node before whose input a Multiply is put
  size_t input = 0;
};

/// NNCF 3.4's patterns: MatMul -> Multiply -> layer (the division goes into the MatMul's weight), activation -> Multiply -> layer and
/// activation -> layer (a Multiply after the activation). Only layers that have a configuration of up to 4 bits; where a value that would
/// be divided is read elsewhere too the layer is left alone, for scaling would change what the model computes.
std::vector<AwqTarget> find_awq_targets(const std::vector<WeightedLayer>& layers, std::span<const AssignedWeight> weights,
                                        size_t codebook_size);

/// Whether codes take up to 4 bits. `codebook_size` for codebook modes.
bool has_few_bits(CompressWeightsMode mode, size_t codebook_size);

}  // namespace nibble
