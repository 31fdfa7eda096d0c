#pragma once

#include <optional>

#include "base/thread_pool.hpp"
#include "compress/layer_copy.hpp"
#include "device/cpu/weight_matrix.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// A copy of what computes one constant input of a layer, with arithmetic in f32 where the devices have it so: the layer's graph stays as
/// it is. Weights are shared, not copied. Not thread-safe.
class ConstantChain {
 public:
  ConstantChain(const Node& layer, size_t port, ThreadPool& threads);

  /// The weight as it is stored, or floats where it has no such form; nullopt with fewer than two dimensions.
  std::optional<cpu::WeightMatrix> matrix();
  /// The whole value.
  Tensor tensor();

 private:
  LayerCopy copy_;
  ThreadPool& threads_;
};

}  // namespace nibble
