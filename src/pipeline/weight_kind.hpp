#pragma once

#include <string>
#include <string_view>

#include "graph/node.hpp"

namespace nibble {

/// What a weight is for: "embedding", "head", "embedding and head", "attention q" (k, v, qkv, o), "attention", "mlp gate" (up, gate+up,
/// down), "mlp", "experts", "router", "other". By the name of its constant, else of a layer that reads it, as the families call them.
std::string weight_kind(std::string_view name);

/// Of a layer that reads a weight in a constant of this name. Gathers read embeddings, and what the model's result is made of is the head.
std::string weight_kind(std::string_view constant, const Node& reader);

/// Whether the layer's output, perhaps scaled, is a result of the model.
bool feeds_result(const Node& layer);

}  // namespace nibble
