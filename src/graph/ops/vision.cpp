#include "graph/ops/tables.hpp"

namespace nibble {

std::span<const OpDef> vision_ops() { return {}; }

}  // namespace nibble
