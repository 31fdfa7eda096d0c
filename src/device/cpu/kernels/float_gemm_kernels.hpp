#pragma once

#include "device/cpu/kernels/float_gemm_few.hpp"
#include "device/cpu/kernels/float_gemm_many.hpp"

namespace nibble::cpu {
namespace {

using MultiplyFew = void (*)(const PackedMatrix&, const float*, size_t, const GemmOutput&, Range, size_t);

/// The kernel for `rows` rows: few_rows<Simd, type, rows>.
template <class Simd, CodeType type, size_t candidate = Simd::kFewRows>
MultiplyFew few_of(size_t rows) {
  if constexpr (candidate == 1) {
    return few_rows<Simd, type, 1>;
  } else {
    return rows == candidate ? few_rows<Simd, type, candidate> : few_of<Simd, type, candidate - 1>(rows);
  }
}

template <class Simd, CodeType type>
void multiply(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  const size_t count = rows.end - rows.begin;
  if (count == 0) return;
  if (count <= Simd::kFewRows && groups_are_whole_vectors<Simd, type>(w))
    few_of<Simd, type>(count)(w, x, x_stride, out, panels, rows.begin);
  else
    many_rows<Simd, type>(w, x, x_stride, out, panels, rows);
}

}  // namespace
}  // namespace nibble::cpu
