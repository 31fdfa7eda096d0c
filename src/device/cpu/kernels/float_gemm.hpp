#pragma once

#include <string_view>

#include "device/cpu/kernels/isa.hpp"
#include "device/cpu/kernels/packed_matrix.hpp"

namespace nibble::cpu {

/// Products of float activations with weights of any type and group size. Every kernel of every instruction set gives the same bits (as
/// long as MXCSR is left at its default); with g over the groups of columns and k over the columns of group g, both ascending,
///   t(g)   = fma(x[k], value(code) - zero point, t(g)), starting from 0
///   y      = fma(t(g), scale(g), y), starting from 0; a scale is 1 where there is none
///   result = y [+ bias] [+ what was there]
/// so a row's result does not depend on the other rows, on the number of panels or threads or on the processor. Zero points count for
/// integers only. A matrix that has neither scales nor zero points is one group, whatever its group_size.
struct FloatGemm {
  std::string_view name;  ///< "gemm_f32_f16_16x6_avx2"
  /// Rows `rows` of x [.., columns], row m at x + m * x_stride floats, times panels `panels` of w. x is padded with zeros to
  /// w.padded_columns(). Writes the columns of `out` that the panels have in w.rows. Any number of rows; few and many have loops of their
  /// own.
  void (*multiply)(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows);
};

/// f32 arithmetic, for every CodeType.
const FloatGemm& float_gemm(CodeType code_type, Isa isa);

/// Products of bf16 activations with bf16 weights, accumulated in f32: twice the arithmetic of f32. Scales and groups are not looked at.
/// The arithmetic is that of VDPBF16PS, over ascending pairs of columns (2 j, 2 j + 1), the odd column first:
///   y      = fma(x[2 j], weight[2 j], fma(x[2 j + 1], weight[2 j + 1], y)), starting from 0
///   result = y [+ bias] [+ what was there]
/// where each fma rounds to nearest even, takes denormals for zeros and gives zero for a denormal result, whatever MXCSR says.
struct Bf16Gemm {
  std::string_view name;  ///< "gemm_bf16_bf16_48x8_avx512bf16"
  /// Rounds a row to bf16, to nearest even, denormals to zero; pads with zeros to a multiple of 32.
  void (*round)(const float* x, size_t columns, uint16_t* out);
  /// As FloatGemm::multiply, x being rows of bf16 padded with zeros to w.padded_columns().
  void (*multiply)(const PackedMatrix& w, const uint16_t* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows);
};

/// The avx512bf16 kernel, or the scalar specification of it for other instruction sets.
const Bf16Gemm& bf16_gemm(Isa isa);

}  // namespace nibble::cpu
