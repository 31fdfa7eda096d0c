#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compress/compression_options.hpp"
#include "compress/layer_copy.hpp"
#include "compress/weight_task.hpp"
#include "compress/weighted_layers.hpp"

namespace nibble {

/// One precision that a weight can have.
struct LadderRung {
  std::optional<WeightConfig> config;  ///< nothing = as it is
  uint64_t bytes = 0;                  ///< in a .bin, at most
};

/// A weight and its precisions, the smallest first.
struct LadderWeight {
  Node* constant = nullptr;
  std::vector<WeightedLayer> readers;
  std::vector<size_t> reduction_axes;  ///< of the reader that decides how it is compressed
  size_t elements = 0;
  std::vector<LadderRung> rungs;
};

/// What precisions there are.
struct LadderOptions {
  /// The lowest: its mode, and its group size, which finer ones down to 32 follow (unset: from 128 on). Ignored layers stay as they are.
  WeightCompression lowest;
  CompressWeightsMode int8 = CompressWeightsMode::int8_asym;
  bool floats = true;  ///< weights may stay as they are
};

/// The weights of a graph that a compression can choose a precision for: MatMuls and embeddings, in NNCF's order. Convolutions have no
/// choice below 8 bits. A group size that does not divide a weight's rows is left out, or made smaller where no other one does.
std::vector<LadderWeight> precision_ladder(const Graph& graph, const LadderOptions& options);

/// A reader of a weight by itself, with the weight in another precision.
LayerCopy copy_compressed(const LadderWeight& weight, const WeightedLayer& reader, const WeightConfig& config, const ModeLevels& levels);

/// "int4_asym, group size 64", "int8_asym", "f16".
std::string precision_name(const LadderRung& rung, ElementType stored);

}  // namespace nibble
