#pragma once

#include "device/cpu/moe_match.hpp"
#include "device/cpu/moe_step.hpp"

namespace nibble::cpu {

/// Asks `plan` for the weights of the experts, one request for each matrix (or for gate and up together). `inputs`: columns of x. Throws
/// Error{corrupt} where matrices do not go together.
MoeExperts request_experts(const MoeMatch& moe, size_t inputs, ConstantValues& constants, Plan& plan);

/// How weights are packed for the plan's precision.
PackOptions pack_options(const Precision& precision, const WeightMatrix& weight);

}  // namespace nibble::cpu
