#pragma once

#include <span>
#include <unordered_map>

#include "graph/graph.hpp"

namespace nibble {

/// What the value of a node changes with, over calibration samples that differ in their token ids alone.
enum class Dependence : uint8_t {
  constant,  ///< nothing
  length,    ///< the number of tokens: masks, rotary embeddings, shapes
  sample,    ///< the tokens
};

/// Tells them apart for a graph. Where it is not sure it says `sample`, which is always right. Immutable and thread-safe.
class SampleDependence {
 public:
  /// `order` is a topological one.
  explicit SampleDependence(std::span<Node* const> order);

  /// Of all outputs of the node together. Throws std::out_of_range for a node that was not in the order.
  Dependence of(const Node& node) const { return known_.at(&node).value; }

 private:
  struct Known {
    Dependence value;  ///< never below `shape`
    Dependence shape;
  };
  Known derive(const Node& node) const;
  Known derive_parameter(const Node& node) const;

  std::unordered_map<const Node*, Known> known_;
};

}  // namespace nibble
