#pragma once

#include <unordered_set>
#include <vector>

#include "compress/compression_options.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// The nodes that a scope names. Throws Error{invalid_argument} for an unreadable pattern and, unless `validate` is off, for
/// rules that match nothing.
std::unordered_set<const Node*> ignored_nodes(const IgnoredScope& scope, const std::vector<Node*>& nodes);

}  // namespace nibble
