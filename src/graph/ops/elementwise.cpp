#include "graph/ops/tables.hpp"

namespace nibble {

std::span<const OpDef> elementwise_ops() { return {}; }

}  // namespace nibble
