#pragma once

#include <functional>

#include "graph/node.hpp"

namespace nibble {

/// Of the value as a place in the graph, for maps.
struct ValueHash {
  size_t operator()(const Value& value) const { return std::hash<const void*>()(value.node) * 31 + value.index; }
};

}  // namespace nibble
