#pragma once

#include "graph/graph.hpp"

namespace nibble {

class ThreadPool;

/// Replaces everything that depends on constants alone by its value, weights included: a compressed weight becomes the
/// floats that its decompression gives. Takes the memory of the results.
void fold_constants(Graph& graph, ThreadPool& threads);

/// True for nodes that depend on constants alone, in topological order; Constant nodes themselves are not listed.
std::vector<Node*> constant_subgraph(const Graph& graph);

}  // namespace nibble
