#pragma once

#include "device/cpu/kernels/isa.hpp"
#include "graph/op_set.hpp"

namespace nibble {

/// ScaledDotProductAttention of f32 queries, keys and values of as many tokens and heads, each token of which sees those up to itself
/// (`causal`, or a mask for all heads that says so and adds nothing else), by the kernels of the CPU engine, in f32. False, and nothing
/// done, for any other. Results do not depend on the number of threads. Thread-safe.
bool attend_causally(EvalContext& context, cpu::Isa isa);

}  // namespace nibble
