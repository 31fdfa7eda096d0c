// Superblocks of 256 elements that are points of a grid, with signs and scales.
#include <bit>

#include "checkpoint/gguf/ggml_blocks.hpp"
#include "checkpoint/gguf/ggml_grids.hpp"

namespace nibble {

namespace {

constexpr float kIq2Levels[4] = {8, 25, 43, 0};
constexpr float kIq3XxsLevels[8] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr float kIq1Delta = 0.125f;

/// Seven signs and an eighth that makes their number even.
uint32_t even_signs(uint32_t seven) { return seven | (static_cast<uint32_t>(std::popcount(seven)) & 1) << 7; }

float signed_by(uint32_t signs, int k, float value) { return (signs >> k & 1) ? -value : value; }

void iq2_point(uint16_t point, uint32_t signs, float step, float* y) {
  for (int k = 0; k < 8; ++k) y[k] = signed_by(signs, k, step * kIq2Levels[point >> (2 * k) & 3]);
}

void iq3_xxs_point(uint16_t point, uint32_t signs, float step, float* y) {
  for (int k = 0; k < 4; ++k) y[k] = signed_by(signs, k, step * kIq3XxsLevels[point >> (4 * k) & 7]);
}

void iq3_s_point(uint16_t point, uint32_t signs, float step, float* y) {
  for (int k = 0; k < 4; ++k) y[k] = signed_by(signs, k, step * static_cast<float>(2 * (point >> (4 * k) & 7) + 1));
}

void iq1_point(uint16_t point, float delta, float step, float* y) {
  for (int k = 0; k < 8; ++k) y[k] = step * (static_cast<float>((point >> (2 * k) & 3) - 1) + delta);
}

uint8_t nibble_of(const uint8_t* bytes, int i) { return bytes[i / 2] >> (i % 2 * 4) & 15; }

}  // namespace

void decode_iq2_xxs(const uint8_t* b, float* y) {
  float d = load_half(b);
  for (int part = 0; part < 8; ++part) {
    const uint8_t* q = b + 2 + part * 8;
    uint32_t signs = load_u32(q + 4);
    float step = d * (0.5f + static_cast<float>(signs >> 28)) * 0.25f;
    for (int i = 0; i < 4; ++i, y += 8) iq2_point(kIq2XxsGrid[q[i]], even_signs(signs >> (7 * i) & 127), step, y);
  }
}

void decode_iq2_xs(const uint8_t* b, float* y) {
  float d = load_half(b);
  for (int i = 0; i < 32; ++i, y += 8) {
    uint32_t q = load_u16(b + 2 + 2 * i);
    float step = d * (0.5f + static_cast<float>(nibble_of(b + 66, i / 2))) * 0.25f;
    iq2_point(kIq2XsGrid[q & 511], even_signs(q >> 9), step, y);
  }
}

void decode_iq2_s(const uint8_t* b, float* y) {
  float d = load_half(b);
  const uint8_t *low = b + 2, *signs = b + 34, *high = b + 66, *scales = b + 74;
  for (int i = 0; i < 32; ++i, y += 8) {
    float step = d * (0.5f + static_cast<float>(nibble_of(scales, i / 2))) * 0.25f;
    iq2_point(kIq2SGrid[low[i] | (high[i / 4] >> (i % 4 * 2) & 3) << 8], signs[i], step, y);
  }
}

void decode_iq3_xxs(const uint8_t* b, float* y) {
  float d = load_half(b);
  for (int part = 0; part < 8; ++part) {
    const uint8_t* q = b + 2 + part * 8;
    uint32_t signs = load_u32(b + 66 + part * 4);
    float step = d * (0.5f + static_cast<float>(signs >> 28)) * 0.5f;
    for (int i = 0; i < 8; ++i, y += 4) iq3_xxs_point(kIq3XxsGrid[q[i]], even_signs(signs >> (7 * (i / 2)) & 127) >> (i % 2 * 4), step, y);
  }
}

void decode_iq3_s(const uint8_t* b, float* y) {
  float d = load_half(b);
  const uint8_t *low = b + 2, *high = b + 66, *signs = b + 74, *scales = b + 106;
  for (int i = 0; i < 64; ++i, y += 4) {
    float step = d * static_cast<float>(1 + 2 * nibble_of(scales, i / 8));
    iq3_s_point(kIq3SGrid[low[i] | (high[i / 8] >> (i % 8) & 1) << 8], signs[i / 2] >> (i % 2 * 4), step, y);
  }
}

void decode_iq1_s(const uint8_t* b, float* y) {
  float d = load_half(b);
  for (int part = 0; part < 8; ++part) {
    uint32_t high = load_u16(b + 34 + 2 * part);
    float step = d * static_cast<float>(2 * (high >> 12 & 7) + 1), delta = (high & 0x8000) ? -kIq1Delta : kIq1Delta;
    for (uint32_t i = 0; i < 4; ++i, y += 8) iq1_point(kIq1SGrid[b[2 + part * 4 + i] | (high >> (3 * i) & 7) << 8], delta, step, y);
  }
}

void decode_iq1_m(const uint8_t* b, float* y) {
  const uint8_t *low = b, *high = b + 32;
  uint16_t scales[4], bits = 0;
  for (int i = 0; i < 4; ++i) {  // the block's own scale is spread over the highest four bits of each
    scales[i] = load_u16(b + 48 + 2 * i);
    bits = static_cast<uint16_t>(bits | (scales[i] >> 12) << (4 * i));
  }
  float d = to_float(float16{bits});
  for (int i = 0; i < 32; ++i, y += 8) {
    uint32_t h = nibble_of(high, i);
    float step = d * static_cast<float>(2 * (scales[i / 8] >> (3 * (i / 2 % 4)) & 7) + 1);
    iq1_point(kIq1SGrid[low[i] | (h & 7) << 8], (h & 8) ? -kIq1Delta : kIq1Delta, step, y);
  }
}

void decode_iq4_xs(const uint8_t* b, float* y) {
  float d = load_half(b);
  uint32_t high = load_u16(b + 2);
  for (int part = 0; part < 8; ++part) {
    int scale = nibble_of(b + 4, part) | static_cast<int>(high >> (2 * part) & 3) << 4;
    float step = d * static_cast<float>(scale - 32);
    const uint8_t* q = b + 8 + part * 16;
    for (int i = 0; i < 16; ++i) *y++ = step * static_cast<float>(kIq4Levels[q[i] & 15]);
    for (int i = 0; i < 16; ++i) *y++ = step * static_cast<float>(kIq4Levels[q[i] >> 4]);
  }
}

}  // namespace nibble
