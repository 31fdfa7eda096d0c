#pragma once

#include "device/cpu/lowering/plan_builder.hpp"
#include "device/cpu/moe_match.hpp"

namespace nibble::cpu {

/// A mixture of experts: one step, and a weight request for each matrix (or for gate and up together). Throws Error{corrupt} where matrices
/// do not go together.
void lower(PlanBuilder& builder, Node& node, const MoeMatch& moe);

}  // namespace nibble::cpu
