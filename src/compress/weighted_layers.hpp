#pragma once

#include <vector>

#include "compress/layer_order.hpp"
#include "graph/graph.hpp"

namespace nibble {

enum class LayerKind { matmul, embedding, convolution };

/// A layer that reads a float constant as its weight.
struct WeightedLayer {
  Node* layer = nullptr;
  size_t port = 0;  ///< the layer's input that the weight comes in through
  Node* constant = nullptr;
  LayerKind kind = LayerKind::matmul;
  std::vector<size_t> reduction_axes;  ///< axes of the constant that the layer sums over: they may share a scale
};

/// The candidates of weight compression in the order of `order`. A shared constant appears once per layer.
std::vector<WeightedLayer> weighted_layers(const LayerOrder& order);

/// A MatMul that computes the angles of rotary embeddings or of SAM's positional encoding: rounding its constant would move
/// positions, so it stays float.
bool computes_positions(const Node& matmul);

}  // namespace nibble
