#pragma once

#include <vector>

#include "graph/graph.hpp"
#include "nibble/compress.hpp"

namespace nibble {

/// What a .bin of `bin_bytes` holds, by kind and precision: weights in the order of embedding, attention, MLP, experts, head, then what is
/// no weight of a layer, then the gaps between constants. The bytes add up to `bin_bytes`. `graph` was read from the IR: constants are
/// views of the .bin.
std::vector<WeightRow> weight_rows(const Graph& graph, uint64_t bin_bytes);

}  // namespace nibble
