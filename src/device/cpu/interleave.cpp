#include "device/cpu/interleave.hpp"

#include <array>
#include <cstring>

#include "device/cpu/kernels/packed_matrix.hpp"

namespace nibble::cpu {

namespace {

/// Registers of 16 bytes, which every processor has; the compiler's own vectors, so that this is one code for all of them.
using Words = uint32_t __attribute__((vector_size(16)));
using Halves = uint16_t __attribute__((vector_size(16)));

Words zip_low(Words a, Words b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
Words zip_high(Words a, Words b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
Halves zip_low(Halves a, Halves b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
Halves zip_high(Halves a, Halves b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }

/// Transposes N x N elements in N registers: log2 N times, row i is zipped with row i + N / 2.
template <size_t N, class Vector>
void transpose(std::array<Vector, N>& rows) {
  for (size_t stage = N; stage > 1; stage /= 2) {
    std::array<Vector, N> zipped;
    for (size_t i = 0; i < N / 2; ++i) {
      zipped[2 * i] = zip_low(rows[i], rows[i + N / 2]);
      zipped[2 * i + 1] = zip_high(rows[i], rows[i + N / 2]);
    }
    rows = zipped;
  }
}

template <class Vector, class Word>
void interleave(const Word* rows, size_t stride, size_t count, Word* out) {
  constexpr size_t kLanes = sizeof(Vector) / sizeof(Word);
  for (size_t j = 0; j < count; j += kLanes) {
    for (size_t r = 0; r < kPanelRows; r += kLanes) {
      std::array<Vector, kLanes> tile;
      for (size_t i = 0; i < kLanes; ++i) std::memcpy(&tile[i], rows + (r + i) * stride + j, sizeof(Vector));
      transpose(tile);
      for (size_t i = 0; i < kLanes; ++i) std::memcpy(out + kPanelRows * (j + i) + r, &tile[i], sizeof(Vector));
    }
  }
}

}  // namespace

void interleave_panel(const uint32_t* rows, size_t stride, size_t count, uint32_t* out) { interleave<Words>(rows, stride, count, out); }
void interleave_panel(const uint16_t* rows, size_t stride, size_t count, uint16_t* out) { interleave<Halves>(rows, stride, count, out); }

}  // namespace nibble::cpu
