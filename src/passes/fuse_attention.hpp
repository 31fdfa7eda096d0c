#pragma once

#include "graph/graph.hpp"

namespace nibble {

/// Attention that is written out (eager attention of transformers, models with capped scores) becomes ScaledDotProductAttention:
///   MatMul(Softmax(scores [+ mask]), value), scores = MatMul(query, key^T) times numbers, with or without cap * tanh(... / cap)
/// A cap becomes the attribute "softcap", which OpenVINO's operation does not have: the result is for Nibble's devices, not to be
/// written to a file. Scores without a mask stay as they are: nothing says whom they see.
void fuse_attention(Graph& graph);

}  // namespace nibble
