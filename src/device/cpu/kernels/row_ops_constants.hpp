#pragma once

#include <cstddef>

// What the scalar and the vector row operations share, so that both give the same bits. The polynomials are minimax fits (Lawson's
// iteration over Chebyshev points, in double), then rounded to float.

namespace nibble::cpu {

/// Sums are kept in this many parts, value i in part i % 64, which are then added in halves: parts k and k + 32, k and k + 16, ...
/// Four AVX-512 or eight AVX2 registers: as many independent additions as an addition takes cycles.
constexpr size_t kSumParts = 64;

// exp(x) = 2^n (1 + r + r^2 q(r)) with n = round(x / ln 2), r = x - n ln 2; the part without 1 is expm1(r) to 1.3e-8 of its value.
constexpr float kExpQ[5] = {0x1.fffffep-2f, 0x1.5554b0p-3f, 0x1.555674p-5f, 0x1.122776p-7f, 0x1.6bec06p-10f};
constexpr float kLog2E = 0x1.715476p+0f;
constexpr float kLn2High = 0x1.62e430p-1f, kLn2Low = -0x1.05c610p-29f;
/// Adding it rounds to an integer, to be found in the low bits.
constexpr float kRoundingShift = 0x1.8p23f;
/// Beyond these exp is 0 or infinity.
constexpr float kExpLowest = -104.0f, kExpHighest = 89.0f;

/// tanh is 1 in float from half of this on.
constexpr float kTanhHighest = 20.0f;

// erf(x) = x P(x^2) / Q(x^2) to 1.9e-8 of its value; at kErfHighest and beyond it is 1 in float.
constexpr float kErfP[6] = {1.1283791f, 0.19040743f, 0.052748855f, 0.0037656594f, 2.8488392e-4f, 2.0500831e-6f};
constexpr float kErfQ[6] = {1.0f, 0.5020769f, 0.11410951f, 0.014969301f, 0.0011625462f, 3.8091734e-5f};
constexpr float kErfHighest = 3.92f;

constexpr float kSqrtHalf = 0.70710678f;
/// gelu_tanh: tanh(sqrt(2 / pi) (x + 0.044715 x^3)) is 2 sigmoid(x (kGeluLinear + kGeluCubic x^2)) - 1.
constexpr float kGeluLinear = 1.5957692f, kGeluCubic = 0.071354814f;

}  // namespace nibble::cpu
