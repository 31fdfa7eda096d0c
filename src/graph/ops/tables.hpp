#pragma once

#include <span>

#include "graph/op_set.hpp"

namespace nibble {

// One table per file of this folder; graph/op_set.cpp joins them.
std::span<const OpDef> structural_ops();     ///< Parameter, Constant, Result, ReadValue, Assign
std::span<const OpDef> elementwise_ops();    ///< arithmetic on two tensors
std::span<const OpDef> logic_ops();          ///< comparisons, logical and bitwise operations, IsNaN and its kin
std::span<const OpDef> selection_ops();      ///< Convert, ConvertLike, Select
std::span<const OpDef> math_ops();           ///< functions of one number: Exp, Floor, Abs, ...
std::span<const OpDef> activation_ops();     ///< Sigmoid, Gelu, Swish, Clamp, ...
std::span<const OpDef> reduction_ops();      ///< Reduce*
std::span<const OpDef> ordering_ops();       ///< CumSum, TopK
std::span<const OpDef> normalization_ops();  ///< Softmax, MVN, GroupNormalization, ...
std::span<const OpDef> shape_ops();          ///< ShapeOf, Reshape, Squeeze, Unsqueeze
std::span<const OpDef> expansion_ops();      ///< Broadcast, Tile
std::span<const OpDef> generation_ops();     ///< Range, Eye, OneHot, NonZero
std::span<const OpDef> movement_ops();       ///< Concat, Split, VariadicSplit, Transpose
std::span<const OpDef> gather_ops();         ///< Gather, GatherElements, GatherND
std::span<const OpDef> scatter_ops();        ///< ScatterUpdate, ScatterNDUpdate, ScatterElementsUpdate
std::span<const OpDef> slice_ops();          ///< Slice, StridedSlice
std::span<const OpDef> rearrangement_ops();  ///< Reverse, Roll, DepthToSpace, ...
std::span<const OpDef> pad_ops();            ///< Pad
std::span<const OpDef> search_ops();         ///< Bucketize, SearchSorted, FakeQuantize
std::span<const OpDef> matmul_ops();         ///< MatMul
std::span<const OpDef> einsum_ops();         ///< Einsum
std::span<const OpDef> attention_ops();      ///< ScaledDotProductAttention
std::span<const OpDef> convolution_ops();    ///< Convolution, GroupConvolution and their transposes
std::span<const OpDef> pooling_ops();        ///< AvgPool, MaxPool, AdaptiveAvgPool
std::span<const OpDef> interpolate_ops();    ///< Interpolate
std::span<const OpDef>
string_ops();  ///< tokenizer IRs: StringTensorUnpack, RegexSplit, BPETokenizer, ...; src/tokenizer/openvino/ computes them

}  // namespace nibble
