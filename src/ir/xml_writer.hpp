#pragma once

#include <span>
#include <string>

#include "graph/graph.hpp"
#include "ir/bin_plan.hpp"

namespace nibble {

/// The .xml of an IR (version 11), laid out as OpenVINO does. `layers` become layers 0, 1, ...; all inputs must be among
/// them. Throws Error{invalid_argument} for an input that is not connected.
std::string write_xml(const Graph& graph, std::span<Node* const> layers, const BinPlan& plan);

}  // namespace nibble
