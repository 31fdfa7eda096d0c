#include "device/cpu/kernels/quantized_gemm_isa.hpp"

namespace nibble::cpu {
namespace {

float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

float half_to_float(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ffu;
  if (exponent == 31) return float_of(sign | 0x7f800000u | (fraction ? 0x400000u : 0u) | fraction << 13);
  if (exponent == 0) return float_of(sign | bits_of(static_cast<float>(fraction) * 0x1p-24f));
  return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

float scale_at(const PackedMatrix& w, size_t index) {
  if (w.scale_type == ScaleType::f32) return reinterpret_cast<const float*>(w.scales)[index];
  if (w.scale_type == ScaleType::f16) return half_to_float(reinterpret_cast<const uint16_t*>(w.scales)[index]);
  return 1;
}

struct CodesU4 {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows / 2;
  static int at(const uint8_t* chunk, size_t row, size_t column) {
    return chunk[column / 8 * 64 + 4 * row + column % 4] >> (column % 8 / 4 * 4) & 15;
  }
};

struct CodesU8 {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows;
  static int at(const uint8_t* chunk, size_t row, size_t column) { return chunk[column / 4 * 64 + 4 * row + column % 4]; }
};

/// Of one weight row, `row` of the panel, and row m of x.
template <class Codes>
float product(const PackedMatrix& w, const QuantizedRows& x, size_t panel, size_t row, size_t m) {
  const size_t chunks = w.padded_columns() / kChunk, group_chunks = w.group_size / kChunk;
  const uint8_t* codes = reinterpret_cast<const uint8_t*>(w.codes) + panel * chunks * Codes::kChunkBytes;
  float y = 0;
  for (size_t g = 0; g < w.groups(); ++g) {
    const size_t index = (panel * w.groups() + g) * kPanelRows + row;
    const float group_sum = x.terms[m * x.chunks + g * group_chunks].sum;
    float t = w.zero_points ? group_sum * static_cast<float>(-w.zero_points[index]) : group_sum;
    for (size_t c = g * group_chunks; c < (g + 1) * group_chunks && c < chunks; ++c) {
      int32_t sum = 0;
      for (size_t k = 0; k < kChunk; ++k) sum += Codes::at(codes + c * Codes::kChunkBytes, row, k) * x.codes[m * x.stride + c * kChunk + k];
      t = __builtin_fmaf(static_cast<float>(sum), x.terms[m * x.chunks + c].scale, t);
    }
    y = __builtin_fmaf(t, scale_at(w, index), y);
  }
  return y;
}

template <class Codes>
void multiply(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, Range panels, Range rows) {
  for (size_t m = rows.begin; m < rows.end; ++m)
    for (size_t n = panels.begin * kPanelRows; n < panels.end * kPanelRows && n < w.rows; ++n) {
      float y = product<Codes>(w, x, n / kPanelRows, n % kPanelRows, m);
      float& to = out.data[m * out.stride + n];
      if (out.bias) y += out.bias[n];
      to = out.accumulate ? y + to : y;
    }
}

/// The bits of the largest |x|.
uint32_t largest(const float* x, size_t count) {
  uint32_t result = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = bits_of(x[i]) & 0x7fffffffu;
    if (bits > result) result = bits;
  }
  return result;
}

int8_t code_of(float x, float inverse) { return static_cast<int8_t>(__builtin_rintf(x * inverse)); }

void quantize(const float* x, size_t columns, size_t group, int8_t* codes, ChunkTerms* terms) {
  for (size_t begin = 0; begin < columns; begin += group) {
    const size_t count = group < columns - begin ? group : columns - begin;
    const QuantizationStep step = quantization_step(largest(x + begin, count));
    for (size_t k = begin; k < begin + count; k += kChunk) {
      int32_t sum = 0;
      for (size_t i = k; i < k + kChunk; ++i) {
        codes[i] = i < columns && step.inverse != 0 ? code_of(x[i], step.inverse) : int8_t{0};
        sum += codes[i];
      }
      terms[k / kChunk] = {step.scale, static_cast<float>(sum)};
    }
  }
}

}  // namespace

constinit const QuantizedGemm kQuantizedGemmU4Scalar{"gemm_q8_u4_1x1_scalar", 1, quantize, multiply<CodesU4>};
constinit const QuantizedGemm kQuantizedGemmU8Scalar{"gemm_q8_u8_1x1_scalar", 1, quantize, multiply<CodesU8>};

}  // namespace nibble::cpu
