#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/float_types.hpp"

namespace nibble {

// One block of a type of ggml becomes numbers. `b` is the block, `y` takes 32 or 256 numbers. The layouts are those of ggml-common.h; the
// order of operations is that of ggml, so that results are the same bits.

inline uint16_t load_u16(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] | bytes[1] << 8); }
inline uint32_t load_u32(const uint8_t* bytes) { return load_u16(bytes) | static_cast<uint32_t>(load_u16(bytes + 2)) << 16; }
inline float load_half(const uint8_t* bytes) { return to_float(float16{load_u16(bytes)}); }

/// The levels of IQ4_NL and IQ4_XS, and MXFP4's times two.
inline constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr int8_t kMxfp4Levels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// 2^(exponent - 128): half of what an e8m0 exponent stands for, because the levels are doubled.
float half_e8m0(uint8_t exponent);

void decode_q4_0(const uint8_t* b, float* y);
void decode_q4_1(const uint8_t* b, float* y);
void decode_q5_0(const uint8_t* b, float* y);
void decode_q5_1(const uint8_t* b, float* y);
void decode_q8_0(const uint8_t* b, float* y);
void decode_q8_1(const uint8_t* b, float* y);
void decode_iq4_nl(const uint8_t* b, float* y);
void decode_mxfp4(const uint8_t* b, float* y);

void decode_q2_k(const uint8_t* b, float* y);
void decode_q3_k(const uint8_t* b, float* y);
void decode_q4_k(const uint8_t* b, float* y);
void decode_q5_k(const uint8_t* b, float* y);
void decode_q6_k(const uint8_t* b, float* y);
void decode_q8_k(const uint8_t* b, float* y);
void decode_tq1_0(const uint8_t* b, float* y);
void decode_tq2_0(const uint8_t* b, float* y);

void decode_iq1_s(const uint8_t* b, float* y);
void decode_iq1_m(const uint8_t* b, float* y);
void decode_iq2_xxs(const uint8_t* b, float* y);
void decode_iq2_xs(const uint8_t* b, float* y);
void decode_iq2_s(const uint8_t* b, float* y);
void decode_iq3_xxs(const uint8_t* b, float* y);
void decode_iq3_s(const uint8_t* b, float* y);
void decode_iq4_xs(const uint8_t* b, float* y);

}  // namespace nibble
