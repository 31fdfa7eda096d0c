#pragma once

#include <vector>

#include "device/cpu/lowering/plan_builder.hpp"

namespace nibble::cpu {

// A plan computes each token on its own, so an operation must not mix them; attention alone does, by its mask, and short convolutions.
// These throw Error{unsupported}.

/// The dimension of a value that counts tokens.
TokenAxis token_axis(PlanBuilder& builder, Value value);

/// Every result that is defined has tokens, but for the past of a state, which is empty here.
void require_token_axes(PlanBuilder& builder, Node& node);

/// For operations along the last dimension.
void require_tokens_before_last(PlanBuilder& builder, Value value);

/// For operations that work element by element: tokens of all inputs meet those of the result.
void require_aligned(PlanBuilder& builder, Node& node, const std::vector<Value>& inputs);

/// For any operation: it is tried on numbers.
void require_separable(PlanBuilder& builder, const Node& node);

}  // namespace nibble::cpu
