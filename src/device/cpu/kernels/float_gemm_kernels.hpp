#pragma once

#include "device/cpu/kernels/float_gemm_few.hpp"
#include "device/cpu/kernels/float_gemm_many.hpp"

namespace nibble::cpu {
namespace {

template <class Simd, CodeType type>
void multiply(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  size_t count = rows.end - rows.begin;
  if (count > kFewRows || !groups_are_whole_vectors<Simd, type>(w)) return many_rows<Simd, type>(w, x, x_stride, out, panels, rows);
  switch (count) {
    case 1: return few_rows<Simd, type, 1>(w, x, x_stride, out, panels, rows.begin);
    case 2: return few_rows<Simd, type, 2>(w, x, x_stride, out, panels, rows.begin);
    case 3: return few_rows<Simd, type, 3>(w, x, x_stride, out, panels, rows.begin);
    case 4: return few_rows<Simd, type, 4>(w, x, x_stride, out, panels, rows.begin);
    default: return;
  }
}

}  // namespace
}  // namespace nibble::cpu
