// Vectors are passed to inlined functions only: how a call would pass them is of no concern.
#pragma GCC diagnostic ignored "-Wpsabi"

#include "compress/tile_kernels.hpp"

#include <vector>

#include "compress/tile_loops.hpp"

namespace nibble {

namespace {

// One copy of every loop per instruction set.
#define NIBBLE_TILE_KERNELS(SET, NAME, TARGET)                                                                                           \
  struct SET {                                                                                                                           \
    TARGET static void fit(const float* tile, size_t columns, const TileRule& rule, float* scales, float* zero_points) {                 \
      tile_loops::fit(tile, columns, rule, scales, zero_points);                                                                         \
    }                                                                                                                                    \
    TARGET static void encode(const float* tile, size_t columns, const TileRule& rule, const float* scales, const float* zero_points,    \
                              float* targets) {                                                                                          \
      tile_loops::encode(tile, columns, rule, scales, zero_points, targets);                                                             \
    }                                                                                                                                    \
    TARGET static void residual(const float* tile, const float* targets, size_t columns, const float* scales, const float* divisors,     \
                                float* out) {                                                                                            \
      tile_loops::residual(tile, targets, columns, scales, divisors, out);                                                               \
    }                                                                                                                                    \
    TARGET static void scale_columns(const float* tile, size_t columns, const float* factors, float* out) {                              \
      tile_loops::scale_columns(tile, columns, factors, out);                                                                            \
    }                                                                                                                                    \
    TARGET static void importance(const float* targets, size_t columns, const float* weights, float* out) {                              \
      tile_loops::importance(targets, columns, weights, out);                                                                            \
    }                                                                                                                                    \
    TARGET static void scale_terms(const float* tile, const float* targets, const float* importance, size_t columns, float* out) {       \
      tile_loops::scale_terms(tile, targets, importance, columns, out);                                                                  \
    }                                                                                                                                    \
    TARGET static void lane_sum(const float* values, size_t columns, float* sums) { tile_loops::lane_sum(values, columns, sums); }       \
    TARGET static void product(const float* tile, size_t columns, const float* x, size_t samples, size_t stride, bool add, float* out) { \
      tile_loops::product(tile, columns, x, samples, stride, add, out);                                                                  \
    }                                                                                                                                    \
    TARGET static void square(const float* values, size_t columns, float* out) { tile_loops::square(values, columns, out); }             \
    TARGET static void gptq(float* tile, size_t columns, const TileRule& rule, const float* inverse, size_t stride, const float* scales, \
                            const float* zero_points, size_t group_stride, size_t first_column, size_t group_size, float* errors) {      \
      tile_loops::gptq(tile, columns, rule, inverse, stride, scales, zero_points, group_stride, first_column, group_size, errors);       \
    }                                                                                                                                    \
    static constexpr TileKernels table{NAME,        fit,      encode,  residual, scale_columns, importance,                              \
                                       scale_terms, lane_sum, product, square,   gptq};                                                  \
  };

NIBBLE_TILE_KERNELS(Scalar, "scalar", )
#if defined(__x86_64__)
NIBBLE_TILE_KERNELS(Avx2, "avx2", __attribute__((target("avx2"))))
NIBBLE_TILE_KERNELS(Avx512, "avx512", __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512"))))
#endif
#undef NIBBLE_TILE_KERNELS

std::vector<const TileKernels*> detect() {
  std::vector<const TileKernels*> sets{&Scalar::table};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) sets.push_back(&Avx2::table);
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    sets.push_back(&Avx512::table);
#endif
  return sets;
}

}  // namespace

const TileKernels& scalar_tile_kernels() { return Scalar::table; }

std::span<const TileKernels* const> available_tile_kernels() {
  static const std::vector<const TileKernels*> sets = detect();
  return sets;
}

const TileKernels& tile_kernels() { return *available_tile_kernels().back(); }

}  // namespace nibble
