#pragma once

// Private to the attention kernels: building blocks over V, the vectors of an instruction set. All of it is in anonymous namespaces, so
// that each file has its own copy compiled for its processor. V has
//   Float, Int; kLanes floats to a vector; register tiles of at most kRows rows (kFewTile of few) by kColumns vectors
//   load of float, Half, Brain (to Float), codes, Pair and Shorts; spread, of one float, Pair, Shorts or Factor to all lanes; dot(sum, a,
//   b) store_shorts: rounds numbers to 16-bit integers in order, or those of two vectors lane by lane Factor: four integers that are
//   multiplied with codes, up to kQueryMax and, for values, from 0 to kWeightMax; kRefined: whether the latter is too coarse for some
//   probabilities exp2 (to 1 in the last place; 0 below the normal floats, NaN for NaN) and exp2_rough, to 1e-4 and arithmetic. max(a, b)
//   is b where one is NaN.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/cpu/kernels/attention.hpp"

namespace nibble::cpu {
namespace {

struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};
/// Four codes that lie together: of keys, from 0 to 255.
struct Codes {
  uint8_t of[4];
};
/// Of values, from -128 to 127.
struct SignedCodes {
  int8_t of[4];
};
/// Two bf16 numbers that a dot product takes together.
struct Pair {
  uint32_t bits;
};
/// Two 16-bit integers that a dot product takes together.
struct Shorts {
  int16_t of[2];
};

template <size_t kValue>
struct Count {
  static constexpr size_t value = kValue;
};

/// Calls f(Count<n>) for n = 1 .. kMax.
template <size_t kMax, class F>
inline void with_count(size_t n, const F& f) {
  if constexpr (kMax > 1)
    if (n < kMax) return with_count<kMax - 1>(n, f);
  f(Count<kMax>{});
}

/// Calls f(first, Count<n>) over `total` rows in equal parts of at most kMax.
template <size_t kMax, class F>
inline void in_parts(size_t total, const F& f) {
  size_t parts = (total + kMax - 1) / kMax;
  for (size_t i = 0, first = 0; i < parts; ++i) {
    size_t end = total * (i + 1) / parts;
    with_count<kMax>(end - first, [&](auto n) { f(first, n); });
    first = end;
  }
}

/// Asks for the lines of the next block a few at a time, between products: all at once they would fill the queue to memory and hold up the
/// rest. A loop takes a Walk of its own and gives it back, so that its steps have no branch, which compilers would make two loops of.
class Ahead {
 public:
  struct Walk {
    const std::byte* next;
    size_t stride;
    void step() {
#pragma GCC unroll 4
      for (size_t line = 0; line < kStride; line += 64) __builtin_prefetch(next + line);
      next += stride;
    }
  };

  Ahead() = default;
  Ahead(const std::byte* next, size_t bytes) : next_(next), end_(next + bytes) {}
  /// Stays where it is after the last line.
  Walk walk() const { return {next_, next_ < end_ ? kStride : 0}; }
  void back(const Walk& walk) { next_ = walk.next; }

 private:
  /// Covers a block in the steps that 8 rows take for it, in each precision.
  static constexpr size_t kStride = 192;
  const std::byte *next_ = nullptr, *end_ = nullptr;
};
struct NothingAhead {
  struct Walk {
    void step() const {}
  };
  Walk walk() const { return {}; }
  void back(const Walk&) const {}
};

/// finish(r, n, start(r, n) + sum over k < depth of a[r * kRowStep + k * kDepthStep] * b[k * b_stride + n * lanes]): R rows by N vectors,
/// the sums in registers.
template <class V, size_t R, size_t N, size_t kRowStep, size_t kDepthStep, class A, class B, class Next, class Start, class Finish>
inline void multiply(const A* a, const B* b, size_t b_stride, size_t depth, Next& ahead, const Start& start, const Finish& finish) {
  decltype(start(0, 0)) sums[R][N];
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (size_t n = 0; n < N; ++n) sums[r][n] = start(r, n);
  auto walk = ahead.walk();
  for (size_t k = 0; k < depth; ++k, a += kDepthStep, b += b_stride) {
    walk.step();
    decltype(V::load(b)) vectors[N];
#pragma GCC unroll 4
    for (size_t n = 0; n < N; ++n) vectors[n] = V::load(b + n * V::kLanes);
#pragma GCC unroll 16
    for (size_t r = 0; r < R; ++r) {
      auto factor = V::spread(a + r * kRowStep);
#pragma GCC unroll 4
      for (size_t n = 0; n < N; ++n) sums[r][n] = V::dot(sums[r][n], factor, vectors[n]);
    }
  }
  ahead.back(walk);
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (size_t n = 0; n < N; ++n) finish(r, n, sums[r][n]);
}

/// Horner's scheme, coefficients from the constant one up.
template <class V, size_t kCount>
inline typename V::Float polynomial(const float (&c)[kCount], typename V::Float x) {
  auto sum = V::set(c[kCount - 1]);
#pragma GCC unroll 8
  for (size_t i = kCount - 1; i > 0; --i) sum = V::fma(sum, x, V::set(c[i - 1]));
  return sum;
}

/// Where the scratch memory of a task is handed out, 64-byte aligned.
class Scratch {
 public:
  explicit Scratch(std::byte* memory) : next_(memory) {}
  template <class T>
  T* take(size_t count) {
    auto* result = reinterpret_cast<T*>(next_);
    next_ += (count * sizeof(T) + 63) / 64 * 64;
    return result;
  }

 private:
  std::byte* next_;
};

inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

/// Below this the reciprocal is infinite.
constexpr float kLeastScale = 1e-37f;

inline float reciprocal(float x) { return x > kLeastScale ? 1 / x : 0; }

}  // namespace
}  // namespace nibble::cpu
