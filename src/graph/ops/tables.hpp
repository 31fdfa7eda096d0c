#pragma once

#include <span>

#include "graph/op_set.hpp"

namespace nibble {

// One table per file of this folder; graph/op_set.cpp joins them.
std::span<const OpDef> structural_ops();   ///< Parameter, Constant, Result, ReadValue, Assign
std::span<const OpDef> elementwise_ops();  ///< arithmetic, comparison, logic, activations, Select, Clamp, Convert
std::span<const OpDef> reduction_ops();    ///< Reduce*, CumSum, TopK, Softmax, MVN and other normalisations
std::span<const OpDef> shape_ops();        ///< ShapeOf, Reshape, Squeeze, Unsqueeze, Broadcast, Range, Tile, ...
std::span<const OpDef> movement_ops();     ///< Gather*, Scatter*, Slice, Concat, Split, Transpose, Pad, ...
std::span<const OpDef> matmul_ops();       ///< MatMul, Einsum, ScaledDotProductAttention
std::span<const OpDef> vision_ops();       ///< convolutions, pooling, Interpolate

}  // namespace nibble
