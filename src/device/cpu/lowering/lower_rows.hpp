#pragma once

#include "device/cpu/lowering/plan_builder.hpp"
#include "device/cpu/pattern_match.hpp"

namespace nibble::cpu {

void lower(PlanBuilder& builder, Node& node, const NormMatch& norm);
void lower(PlanBuilder& builder, Node& node, const GatedMatch& gated);
/// Bounds that are attributes.
void lower_clamp(PlanBuilder& builder, Node& node);
/// False: the node is none of the activations.
bool lower_activation(PlanBuilder& builder, Node& node);
/// Softmax, TopK, sums and maxima over the last dimension. False: the node is none of them, or over others.
bool lower_row_operation(PlanBuilder& builder, Node& node);

}  // namespace nibble::cpu
