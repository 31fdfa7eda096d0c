#pragma once

#include "device/cpu/lowering/plan_builder.hpp"

namespace nibble::cpu {

/// Conversions that change no number that a plan holds, and operations that only move elements: they stay forms. False: the node is none.
bool lower_movement(PlanBuilder& builder, Node& node);
/// The rows of a constant table that indices name. False: the node gathers from no constant.
bool lower_embedding(PlanBuilder& builder, Node& node);
/// Any operation, by its `evaluate`.
void lower_reference(PlanBuilder& builder, Node& node);

}  // namespace nibble::cpu
