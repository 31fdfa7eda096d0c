#pragma once

#include <memory>

#include "compress/compressed_weight.hpp"
#include "compress/compression_options.hpp"
#include "graph/node.hpp"

namespace nibble {

/// The levels that codes of a mode stand for, where they are a table.
struct ModeLevels {
  Tensor codebook;                          ///< codebook modes: the table as it is stored
  std::shared_ptr<const LevelTable> table;  ///< nothing = the mode has none
};

/// The levels of options.mode. Throws what codebook_levels() throws for a user's codebook.
ModeLevels levels_of(const WeightCompression& options);

/// What makes codes of the weight `constant` by its own range. `levels` are for modes that have a table. Throws what weight_layout()
/// throws.
std::shared_ptr<WeightTask> make_weight_task(const Node& constant, const std::vector<size_t>& reduction_axes, const WeightConfig& config,
                                             const ModeLevels& levels);

/// Bytes of codes, scales, zero points and tables.
uint64_t compressed_bytes(const WeightTask& task);
/// The same as an upper bound of what they take in a .bin, where large constants are aligned.
uint64_t aligned_bytes(const WeightTask& task);

}  // namespace nibble
