#pragma once

#include <cstddef>
#include <cstdint>

#include "device/cpu/kernels/row_ops_constants.hpp"
#include "device/cpu/kernels/row_ops_tables.hpp"

// The row operations of row_ops.scalar.cpp over vectors of V::kWidth floats, included by one file per instruction set, which defines V:
// kWidth, V(float), load, store, arithmetic, times_power, ... Everything is in an anonymous namespace: each file keeps its own copy.
// Every function does the scalar specification's operations in the same order.

namespace nibble::cpu {

namespace {

/// Lanes that an access touches: all, or the first few (a tail).
struct All {};
struct First {
  size_t count;
};

/// Calls body(i, lanes) for every vector of a row.
template <class V, class Body>
void for_each(size_t count, Body body) {
  size_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) body(i, All{});
  if (i < count) body(i, First{count - i});
}

/// a in these lanes, b in the others.
template <class V>
V select(All, V a, V) {
  return a;
}

/// Sum of term(i, lanes).
template <class V, class Term>
float sum(size_t count, Term term) {
  constexpr size_t kVectors = kSumParts / V::kWidth;
  V parts[kVectors];
  for (V& part : parts) part = V(0.0f);
  size_t i = 0;
  for (; i + kSumParts <= count; i += kSumParts)
    for (size_t k = 0; k < kVectors; ++k) parts[k] = parts[k] + term(i + k * V::kWidth, All{});
  for (size_t k = 0; k < kVectors; ++k, i += V::kWidth) {
    if (i + V::kWidth <= count)
      parts[k] = parts[k] + term(i, All{});
    else if (i < count)
      parts[k] = parts[k] + select(First{count - i}, term(i, First{count - i}), V(0.0f));
  }
  for (size_t width = kVectors / 2; width > 0; width /= 2)
    for (size_t k = 0; k < width; ++k) parts[k] = parts[k] + parts[k + width];
  return sum_of_lanes(parts[0]);
}

template <class V, size_t kTerms>
V polynomial(const float (&coefficients)[kTerms], V x) {
  V value(coefficients[kTerms - 1]);
  for (size_t k = kTerms - 1; k-- > 0;) value = fused(value, x, V(coefficients[k]));
  return value;
}

template <class V>
V reduced_expm1(V x, V& shifted) {
  shifted = fused(x, V(kLog2E), V(kRoundingShift));
  V n = shifted - V(kRoundingShift);
  V r = fused(n, V(-kLn2Low), fused(n, V(-kLn2High), x));
  return fused(r * r, polynomial(kExpQ, r), r);
}

template <class V>
V exponential(V x) {
  V shifted;
  V p = reduced_expm1(lesser(V(kExpHighest), greater(V(kExpLowest), x)), shifted);
  return times_power(V(1.0f) + p, shifted);
}

template <class V>
V hyperbolic_tangent(V x) {
  V shifted;
  V p = reduced_expm1(lesser(V(kTanhHighest), V(2.0f) * absolute(x)), shifted);
  V power = times_power(V(1.0f), shifted);
  V expm1 = fused(p, power, power - V(1.0f));
  return with_sign_of(expm1 / (expm1 + V(2.0f)), x);
}

template <class V>
V error_function(V x) {
  V a = lesser(V(kErfHighest), absolute(x)), square = a * a;
  V ratio = a * polynomial(kErfP, square) / polynomial(kErfQ, square);
  return with_sign_of(lesser(V(1.0f), ratio), x);
}

template <class V>
V swish(V x, V slope) {
  return x / (V(1.0f) + exponential(negative(x * slope)));
}

/// use(function from V to V): the choice is made outside the loop.
template <class V, class Use>
void with_activation(Activation activation, Use use) {
  switch (activation) {
    case Activation::identity: return use([](V x) { return x; });
    case Activation::silu: return use([](V x) { return swish(x, V(1.0f)); });
    case Activation::gelu_erf: return use([](V x) { return V(0.5f) * x * (V(1.0f) + error_function(x * V(kSqrtHalf))); });
    case Activation::gelu_tanh: return use([](V x) { return swish(x, V(kGeluLinear) + V(kGeluCubic) * (x * x)); });
    case Activation::relu: return use([](V x) { return greater(V(0.0f), x); });
    case Activation::sigmoid: return use([](V x) { return V(1.0f) / (V(1.0f) + exponential(negative(x))); });
    case Activation::tanh: return use([](V x) { return hyperbolic_tangent(x); });
    case Activation::square_relu: return use([](V x) { return greater(V(0.0f), x) * greater(V(0.0f), x); });
    case Activation::exp: return use([](V x) { return exponential(x); });
  }
}

template <class V>
struct VectorRowOps {
  static V reciprocal_deviation(float squares, size_t count, float epsilon) {
    return V(1.0f) / square_root(V(squares) / V(static_cast<float>(count)) + V(epsilon));
  }

  static void rms_norm(const float* x, const float* weight, float epsilon, size_t count, float* out) {
    float squares = sum<V>(count, [=](size_t i, auto lanes) { return V::load(x + i, lanes) * V::load(x + i, lanes); });
    V scale = reciprocal_deviation(squares, count, epsilon);
    for_each<V>(count, [=](size_t i, auto lanes) {
      V y = V::load(x + i, lanes) * scale;
      if (weight) y = y * V::load(weight + i, lanes);
      y.store(out + i, lanes);
    });
  }

  static void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, size_t count, float* out) {
    V mean = V(sum<V>(count, [=](size_t i, auto lanes) { return V::load(x + i, lanes); })) / V(static_cast<float>(count));
    auto centred = [=](size_t i, auto lanes) { return V::load(x + i, lanes) - mean; };
    float squares = sum<V>(count, [=](size_t i, auto lanes) { return centred(i, lanes) * centred(i, lanes); });
    V scale = reciprocal_deviation(squares, count, epsilon);
    for_each<V>(count, [=](size_t i, auto lanes) {
      V y = centred(i, lanes) * scale;
      if (weight) y = y * V::load(weight + i, lanes);
      if (bias) y = y + V::load(bias + i, lanes);
      y.store(out + i, lanes);
    });
  }

  static void activate(Activation activation, const float* x, size_t count, float* out) {
    with_activation<V>(activation, [=](auto function) {
      for_each<V>(count, [=](size_t i, auto lanes) { function(V::load(x + i, lanes)).store(out + i, lanes); });
    });
  }

  static void gated(Activation activation, const float* gate, const float* up, size_t count, float* out) {
    with_activation<V>(activation, [=](auto function) {
      for_each<V>(count, [=](size_t i, auto lanes) {
        V y = function(V::load(gate + i, lanes)) * V::load(up + i, lanes);
        y.store(out + i, lanes);
      });
    });
  }

  static void add(const float* a, const float* b, size_t count, float* out) {
    for_each<V>(count, [=](size_t i, auto lanes) { (V::load(a + i, lanes) + V::load(b + i, lanes)).store(out + i, lanes); });
  }

  static void multiply(const float* a, const float* b, size_t count, float* out) {
    for_each<V>(count, [=](size_t i, auto lanes) { (V::load(a + i, lanes) * V::load(b + i, lanes)).store(out + i, lanes); });
  }

  static void scale(const float* x, float a, float b, size_t count, float* out) {
    for_each<V>(count, [=](size_t i, auto lanes) { (V(a) * V::load(x + i, lanes) + V(b)).store(out + i, lanes); });
  }

  static void accumulate(const float* x, float a, size_t count, float* out) {
    for_each<V>(count, [=](size_t i, auto lanes) {
      V y = V::load(out + i, lanes) + V(a) * V::load(x + i, lanes);
      y.store(out + i, lanes);
    });
  }

  static V highest(const float* x, size_t count) {
    V found(-__builtin_inff());
    for_each<V>(count, [&](size_t i, auto lanes) { found = select(lanes, greater(found, V::load(x + i, lanes)), found); });
    return V(highest_of_lanes(found));
  }

  static void softmax(const float* x, size_t count, float* out) {
    V top = highest(x, count);
    float total = sum<V>(count, [=](size_t i, auto lanes) {
      V power = exponential(V::load(x + i, lanes) - top);
      power.store(out + i, lanes);
      return power;
    });
    V factor = V(1.0f) / V(total);
    for_each<V>(count, [=](size_t i, auto lanes) { (V::load(out + i, lanes) * factor).store(out + i, lanes); });
  }

  static void rotate_halves(const float* x, const float* cos, const float* sin, size_t count, float* out) {
    size_t half = count / 2;
    for_each<V>(half, [=](size_t i, auto lanes) {
      V a = V::load(x + i, lanes), b = V::load(x + half + i, lanes), c = V::load(cos + i, lanes), s = V::load(sin + i, lanes);
      (a * c - b * s).store(out + i, lanes);
      (b * c + a * s).store(out + half + i, lanes);
    });
  }

  static void rotate_pairs(const float* x, const float* cos, const float* sin, size_t count, float* out) {
    for_each<V>(count / 2 * 2, [=](size_t i, auto lanes) {
      V both = V::load(x + i, lanes);
      V y = alternately_subtracted(both * V::load_twice(cos + i / 2, lanes), swapped_pairs(both) * V::load_twice(sin + i / 2, lanes));
      y.store(out + i, lanes);
    });
  }

  static void f16_to_f32(const uint16_t* x, size_t count, float* out) {
    for_each<V>(count, [=](size_t i, auto lanes) { V::from_f16(V::load_halves(x + i, lanes)).store(out + i, lanes); });
  }

  static void f32_to_f16(const float* x, size_t count, uint16_t* out) {
    for_each<V>(count, [=](size_t i, auto lanes) { V::store_halves(V::load(x + i, lanes).to_f16(), out + i, lanes); });
  }

  static void bf16_to_f32(const uint16_t* x, size_t count, float* out) {
    for_each<V>(count, [=](size_t i, auto lanes) { V::from_bf16(V::load_halves(x + i, lanes)).store(out + i, lanes); });
  }

  static void f32_to_bf16(const float* x, size_t count, uint16_t* out) {
    for_each<V>(count, [=](size_t i, auto lanes) { V::store_halves(V::load(x + i, lanes).to_bf16(), out + i, lanes); });
  }

  static constexpr RowOps table(std::string_view name) {
    return {name,       rms_norm, layer_norm,    activate,     gated,      add,        multiply,    scale,
            accumulate, softmax,  rotate_halves, rotate_pairs, f16_to_f32, f32_to_f16, bf16_to_f32, f32_to_bf16};
  }
};

}  // namespace

}  // namespace nibble::cpu
