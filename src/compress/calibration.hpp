#pragma once

#include <functional>
#include <span>
#include <vector>

#include "graph/graph.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// What one layer read of every calibration sample. Thread-safe.
class LayerInputs {
 public:
  virtual ~LayerInputs() = default;
  virtual size_t count() const = 0;
  /// Activations of one sample: f32 [.., tokens, columns]; for stacked experts [experts, tokens, columns]. May be read from disk.
  virtual Tensor sample(size_t index) const = 0;
};

/// Runs calibration samples through a model, all of them up to a layer before any goes through it, so that no more than what lies
/// between two layers is kept, on disk where it is large. For one thread.
class Calibration {
 public:
  using Visitor = std::function<void(Node& layer, const LayerInputs& inputs)>;
  virtual ~Calibration() = default;

  virtual size_t sample_count() const = 0;
  /// Calls `visit` once for each of `layers` (nodes with a weight: MatMul), in the order of execution, with what the layer reads from its
  /// other input. The visitor may replace the layer's weight or what decompresses it: what comes after is computed with that. Layers
  /// that cannot be reached are an error. Throws what evaluating the graph throws.
  virtual void run(Graph& graph, std::span<Node* const> layers, const Visitor& visit) = 0;
  /// The same for a visitor that changes nothing. The samples may come in groups, each through all of the layers before the next starts, so
  /// that less lies between two layers: `visit` is then called for each group, with its samples as `inputs`.
  virtual void observe(Graph& graph, std::span<Node* const> layers, const Visitor& visit) { run(graph, layers, visit); }
};

}  // namespace nibble
