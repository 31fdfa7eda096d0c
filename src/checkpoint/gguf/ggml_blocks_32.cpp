// Blocks of 32 elements. Of two elements in a byte the low half belongs to the first 16 of the block, the high half to the others.
#include <bit>

#include "checkpoint/gguf/ggml_blocks.hpp"

namespace nibble {

void decode_q4_0(const uint8_t* b, float* y) {
  float d = load_half(b);
  for (int i = 0; i < 16; ++i) y[i] = d * static_cast<float>((b[2 + i] & 15) - 8);
  for (int i = 0; i < 16; ++i) y[16 + i] = d * static_cast<float>((b[2 + i] >> 4) - 8);
}

void decode_q4_1(const uint8_t* b, float* y) {
  float d = load_half(b), m = load_half(b + 2);
  for (int i = 0; i < 16; ++i) y[i] = d * static_cast<float>(b[4 + i] & 15) + m;
  for (int i = 0; i < 16; ++i) y[16 + i] = d * static_cast<float>(b[4 + i] >> 4) + m;
}

void decode_q5_0(const uint8_t* b, float* y) {
  float d = load_half(b);
  uint32_t high = load_u32(b + 2);
  for (int i = 0; i < 16; ++i) y[i] = d * static_cast<float>(((b[6 + i] & 15) | static_cast<int>(high >> i & 1) << 4) - 16);
  for (int i = 0; i < 16; ++i) y[16 + i] = d * static_cast<float>(((b[6 + i] >> 4) | static_cast<int>(high >> (16 + i) & 1) << 4) - 16);
}

void decode_q5_1(const uint8_t* b, float* y) {
  float d = load_half(b), m = load_half(b + 2);
  uint32_t high = load_u32(b + 4);
  for (int i = 0; i < 16; ++i) y[i] = d * static_cast<float>((b[8 + i] & 15) | static_cast<int>(high >> i & 1) << 4) + m;
  for (int i = 0; i < 16; ++i) y[16 + i] = d * static_cast<float>((b[8 + i] >> 4) | static_cast<int>(high >> (16 + i) & 1) << 4) + m;
}

void decode_q8_0(const uint8_t* b, float* y) {
  float d = load_half(b);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(static_cast<int8_t>(b[2 + i])) * d;
}

void decode_q8_1(const uint8_t* b, float* y) {
  float d = load_half(b);  // a sum that dot products use follows
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(static_cast<int8_t>(b[4 + i])) * d;
}

void decode_iq4_nl(const uint8_t* b, float* y) {
  float d = load_half(b);
  for (int i = 0; i < 16; ++i) y[i] = d * static_cast<float>(kIq4Levels[b[2 + i] & 15]);
  for (int i = 0; i < 16; ++i) y[16 + i] = d * static_cast<float>(kIq4Levels[b[2 + i] >> 4]);
}

float half_e8m0(uint8_t exponent) {
  uint32_t bits = exponent < 2 ? 0x00200000u << exponent : static_cast<uint32_t>(exponent - 1) << 23;
  return std::bit_cast<float>(bits);
}

void decode_mxfp4(const uint8_t* b, float* y) {
  float d = half_e8m0(b[0]);
  for (int i = 0; i < 16; ++i) y[i] = d * static_cast<float>(kMxfp4Levels[b[1 + i] & 15]);
  for (int i = 0; i < 16; ++i) y[16 + i] = d * static_cast<float>(kMxfp4Levels[b[1 + i] >> 4]);
}

}  // namespace nibble
