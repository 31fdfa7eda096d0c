#pragma once

#include <optional>
#include <span>
#include <vector>

#include "calibrate/sample_dependence.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// The part of a graph between two products with weights. Everything in it is done for one sample before the next.
struct CalibrationUnit {
  /// The product that it starts with, for all samples; nullptr in the first unit.
  Node* product = nullptr;
  size_t weight_port = 1;
  bool is_visited = false;
  bool is_computed = false;  ///< something later reads the product of the samples
  /// Once for each length, first.
  std::vector<Node*> by_length;
  /// Once for each sample: what makes the product's input from stored values (cheap, and larger than these), and what follows the product.
  std::vector<Node*> before, after;
  /// Values that later units read, and values whose last reader this unit is: by length, by sample.
  std::vector<Value> kept_by_length, kept, expired_by_length, expired;

  Value input() const { return product->input(1 - weight_port); }
};

/// A graph cut in units, as far as the inputs of the layers to visit need it.
struct CalibrationPlan {
  std::vector<CalibrationUnit> units;
  std::vector<Node*> parameters;  ///< that the units read; their values are there from the start
};

/// Bytes of every token that lie between two units, where they are most, as far as shapes are known.
size_t stored_bytes_per_token(const CalibrationPlan& plan);

/// The input of a layer that is its weight: the only constant input of a product of two, or the table of an embedding.
std::optional<size_t> find_weight(const Node& node, const SampleDependence& dependence);

/// Throws Error{invalid_argument} for a layer that is not in the graph, that has no weight (or nothing else), or is there twice.
/// `dependence` is that of the nodes in `order`. `result`, where given, is computed as well: it is kept by the unit that makes it.
CalibrationPlan plan_calibration(std::span<Node* const> order, const SampleDependence& dependence, std::span<Node* const> layers,
                                 Value result = {});

}  // namespace nibble
