#include "graph/ops/tables.hpp"

namespace nibble {

std::span<const OpDef> movement_ops() { return {}; }

}  // namespace nibble
