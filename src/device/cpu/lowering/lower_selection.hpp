#pragma once

#include "device/cpu/lowering/plan_builder.hpp"

namespace nibble::cpu {

/// GatherElements and ScatterElementsUpdate along the last dimension: what chooses among the elements of one token. False: the node is none
/// of them, or along others.
bool lower_selection(PlanBuilder& builder, Node& node);

}  // namespace nibble::cpu
