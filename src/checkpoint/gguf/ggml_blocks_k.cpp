// Superblocks of 256 elements whose sub-blocks have scales that are quantized themselves.
#include "checkpoint/gguf/ggml_blocks.hpp"

namespace nibble {

void decode_q2_k(const uint8_t* b, float* y) {
  const uint8_t *scales = b, *codes = b + 16;
  float d = load_half(b + 80), dmin = load_half(b + 82);
  for (int part = 0; part < 8; ++part) {  // 32 elements: two bits of the same 32 bytes
    const uint8_t* q = codes + part / 4 * 32;
    int shift = part % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      uint8_t scale = scales[part * 2 + half];
      float step = d * static_cast<float>(scale & 15), low = dmin * static_cast<float>(scale >> 4);
      for (int i = 0; i < 16; ++i) *y++ = step * static_cast<float>(q[half * 16 + i] >> shift & 3) - low;
    }
  }
}

void decode_q3_k(const uint8_t* b, float* y) {
  const uint8_t *high = b, *codes = b + 32, *scales = b + 96;
  float d = load_half(b + 108);
  for (int part = 0; part < 8; ++part) {
    const uint8_t* q = codes + part / 4 * 32;
    int shift = part % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      int s = part * 2 + half;  // four bits of its scale are in the first eight bytes, two in the last four
      int scale = (scales[s % 8] >> (s / 8 * 4) & 15) | (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4;
      float step = d * static_cast<float>(scale - 32);
      for (int i = 0; i < 16; ++i) {
        int at = half * 16 + i, absent = ~(high[at] >> part) & 1;
        *y++ = step * static_cast<float>((q[at] >> shift & 3) - absent * 4);
      }
    }
  }
}

namespace {

/// Scale and minimum of sub-block j of Q4_K and Q5_K: six bits each in twelve bytes.
struct ScaleMin {
  ScaleMin(const uint8_t* packed, int j) {
    if (j < 4) {
      scale = static_cast<float>(packed[j] & 63);
      min = static_cast<float>(packed[j + 4] & 63);
    } else {
      scale = static_cast<float>((packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4);
      min = static_cast<float>((packed[j + 4] >> 4) | (packed[j] >> 6) << 4);
    }
  }
  float scale, min;
};

}  // namespace

void decode_q4_k(const uint8_t* b, float* y) {
  float d = load_half(b), dmin = load_half(b + 2);
  for (int j = 0; j < 8; ++j) {
    const uint8_t* q = b + 16 + j / 2 * 32;
    ScaleMin s(b + 4, j);
    float step = d * s.scale, low = dmin * s.min;
    int shift = j % 2 * 4;
    for (int i = 0; i < 32; ++i) *y++ = step * static_cast<float>(q[i] >> shift & 15) - low;
  }
}

void decode_q5_k(const uint8_t* b, float* y) {
  float d = load_half(b), dmin = load_half(b + 2);
  const uint8_t* high = b + 16;
  for (int j = 0; j < 8; ++j) {
    const uint8_t* q = b + 48 + j / 2 * 32;
    ScaleMin s(b + 4, j);
    float step = d * s.scale, low = dmin * s.min;
    int shift = j % 2 * 4;
    for (int i = 0; i < 32; ++i) *y++ = step * static_cast<float>((q[i] >> shift & 15) | (high[i] >> j & 1) << 4) - low;
  }
}

void decode_q6_k(const uint8_t* b, float* y) {
  const uint8_t *low = b, *high = b + 128, *scales = b + 192;
  float d = load_half(b + 208);
  for (int part = 0; part < 8; ++part) {  // 32 elements; in each half of the block: 64 bytes of low bits, 32 of high bits
    const uint8_t *q = low + part / 4 * 64 + part % 2 * 32, *h = high + part / 4 * 32;
    int low_shift = part % 4 / 2 * 4, high_shift = part % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      float step = d * static_cast<float>(static_cast<int8_t>(scales[part * 2 + half]));
      for (int i = half * 16; i < half * 16 + 16; ++i)
        *y++ = step * static_cast<float>(((q[i] >> low_shift & 15) | (h[i] >> high_shift & 3) << 4) - 32);
    }
  }
}

void decode_q8_k(const uint8_t* b, float* y) {
  float d;
  std::memcpy(&d, b, sizeof d);
  for (int i = 0; i < 256; ++i) y[i] = d * static_cast<float>(static_cast<int8_t>(b[4 + i]));
}

void decode_tq2_0(const uint8_t* b, float* y) {
  float d = load_half(b + 64);
  for (int part = 0; part < 8; ++part)
    for (int i = 0; i < 32; ++i) *y++ = d * static_cast<float>((b[part / 4 * 32 + i] >> (part % 4 * 2) & 3) - 1);
}

namespace {

/// `digits` ternary digits of each of `count` bytes, which hold them as a fraction of 256: the first digits of all bytes come first.
float* decode_ternary(const uint8_t* bytes, int count, int digits, float d, float* y) {
  constexpr uint8_t kPowers[5] = {1, 3, 9, 27, 81};
  for (int digit = 0; digit < digits; ++digit)
    for (int i = 0; i < count; ++i) {
      auto shifted = static_cast<uint8_t>(bytes[i] * kPowers[digit]);
      *y++ = d * static_cast<float>((shifted * 3 >> 8) - 1);
    }
  return y;
}

}  // namespace

void decode_tq1_0(const uint8_t* b, float* y) {
  float d = load_half(b + 52);
  y = decode_ternary(b, 32, 5, d, y);
  y = decode_ternary(b + 32, 16, 5, d, y);
  decode_ternary(b + 48, 4, 4, d, y);
}

}  // namespace nibble
