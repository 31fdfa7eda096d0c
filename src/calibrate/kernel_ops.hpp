#pragma once

#include <functional>

#include "graph/op_set.hpp"

namespace nibble {

/// Computes a node as its `evaluate` does but for rounding, and faster; false (and nothing done) for inputs that it is not made for.
/// Results do not depend on the number of threads. Thread-safe.
using KernelOp = std::function<bool(EvalContext&)>;

/// What the CPU engine has kernels for, in f32: causal attention of a sequence from its beginning, activations. Empty
/// for other nodes.
KernelOp find_kernel_op(const Node& node);

}  // namespace nibble
