#pragma once

#include <span>
#include <string_view>

#include "graph/graph.hpp"

namespace nibble::tokenizer {

/// Whether tokenizer IRs use this operation of OpenVINO's own sets: arithmetic on positions and ids.
bool is_plain_op(std::string_view type);

/// At most how many elements such an operation makes of these inputs: asked before it runs, because a hostile file must not fill the
/// memory.
double element_bound(const Node& node, std::span<const Tensor> inputs);

}  // namespace nibble::tokenizer
