#pragma once

#include "compress/quantize_loops.hpp"
#include "compress/tile_kernels.hpp"

// The loops of the data-aware methods: lanes are rows. As in quantize_loops.hpp they are inlined into one function per instruction set, so
// how vectors would be passed is of no concern.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"

namespace nibble::tile_loops {

constexpr float kEpsilon = quantize_loops::kEpsilon;
constexpr float kToInteger = quantize_loops::kToInteger;
constexpr float kIsZero = 1e-8f;        // numpy.isclose(x, 0)
constexpr float kZeroTarget = 0.001f;   // NNCF's stand-in for a target of 0 in a divisor
constexpr size_t kSamplesPerPass = 8;   // sums that stay in registers
constexpr size_t kSumAccumulators = 8;  // numpy's pairwise summation

/// 16 floats at any address; compilers split them where registers are shorter.
typedef float Lanes [[gnu::vector_size(64), gnu::aligned(4), gnu::may_alias]];
typedef int32_t Bits [[gnu::vector_size(64)]];

NIBBLE_LOOP const Lanes& load(const float* from) { return *reinterpret_cast<const Lanes*>(from); }
NIBBLE_LOOP void store(float* to, const Lanes& value) { *reinterpret_cast<Lanes*>(to) = value; }
NIBBLE_LOOP Lanes all(float value) { return Lanes{} + value; }
NIBBLE_LOOP Lanes lesser(const Lanes& a, const Lanes& b) { return a < b ? a : b; }
NIBBLE_LOOP Lanes greater(const Lanes& a, const Lanes& b) { return a > b ? a : b; }
NIBBLE_LOOP Lanes magnitude(const Lanes& x) { return (Lanes)((Bits)x & 0x7fffffff); }
NIBBLE_LOOP Lanes rounded(const Lanes& x) { return (x + kToInteger) - kToInteger; }
NIBBLE_LOOP Lanes guarded(const Lanes& scale) { return magnitude(scale) < kEpsilon ? all(kEpsilon) : scale; }

struct Range {
  Lanes low, high;
};

NIBBLE_LOOP Range row_ranges(const float* tile, size_t columns, const Range& start) {
  Range range = start;
  for (size_t c = 0; c < columns; ++c) {
    const Lanes& column = load(tile + c * kTileRows);
    range.low = lesser(column, range.low);
    range.high = greater(column, range.high);
  }
  return range;
}

NIBBLE_LOOP void fit(const float* tile, size_t columns, const TileRule& rule, float* scales, float* zero_points) {
  Lanes scale, zero_point = all(0.0f);
  if (rule.family == QuantizerFamily::symmetric) {
    Range range = row_ranges(tile, columns, {all(__builtin_inff()), all(-__builtin_inff())});
    Lanes low = magnitude(range.low);
    scale = guarded((low >= range.high ? low : -range.high) / rule.range);
  } else {
    Range range = row_ranges(tile, columns, {all(0.0f), all(0.0f)});
    bool levels = rule.family == QuantizerFamily::levels;
    scale = guarded((levels ? greater(-range.low, range.high) : range.high - range.low) / rule.range);
    if (!levels) zero_point = lesser(greater(0.0f - rounded(range.low / scale), all(0.0f)), all(rule.range));
  }
  store(scales, scale);
  store(zero_points, zero_point);
}

/// The target of one column of weights.
NIBBLE_LOOP Lanes target_of(const Lanes& column, const TileRule& rule, const Lanes& scale, const Lanes& zero_point) {
  Lanes quotient = column / scale;
  if (rule.family != QuantizerFamily::levels) {
    bool symmetric = rule.family == QuantizerFamily::symmetric;
    float low = symmetric ? -rule.range : 0.0f, high = symmetric ? rule.range - 1.0f : rule.range;
    return rounded(lesser(greater(quotient + zero_point, all(low)), all(high))) - zero_point;
  }
  Lanes level = all(rule.levels[0]);
  for (size_t i = 0; i + 1 < rule.level_count; ++i) level = quotient > rule.thresholds[i] ? all(rule.levels[i + 1]) : level;
  return level;
}

NIBBLE_LOOP void encode(const float* tile, size_t columns, const TileRule& rule, const float* scales, const float* zero_points,
                        float* targets) {
  Lanes scale = load(scales), zero_point = load(zero_points);
  for (size_t c = 0; c < columns; ++c) store(targets + c * kTileRows, target_of(load(tile + c * kTileRows), rule, scale, zero_point));
}

NIBBLE_LOOP void residual(const float* tile, const float* targets, size_t columns, const float* scales, const float* divisors, float* out) {
  Lanes scale = load(scales);
  for (size_t c = 0; c < columns; ++c) {
    Lanes value = load(targets + c * kTileRows) * scale;
    if (divisors) value = value / divisors[c];
    store(out + c * kTileRows, value - load(tile + c * kTileRows));
  }
}

NIBBLE_LOOP void scale_columns(const float* tile, size_t columns, const float* factors, float* out) {
  for (size_t c = 0; c < columns; ++c) store(out + c * kTileRows, load(tile + c * kTileRows) * factors[c]);
}

NIBBLE_LOOP void importance(const float* targets, size_t columns, const float* weights, float* out) {
  for (size_t c = 0; c < columns; ++c)
    store(out + c * kTileRows, magnitude(load(targets + c * kTileRows)) <= kIsZero ? all(0.0f) : all(weights[c]));
}

NIBBLE_LOOP void scale_terms(const float* tile, const float* targets, const float* importance, size_t columns, float* out) {
  for (size_t i = 0; i < columns * kTileRows; i += kTileRows) {
    Lanes target = magnitude(load(targets + i));
    target = target <= kIsZero ? target + kZeroTarget : target;
    store(out + i, magnitude(load(tile + i)) / target * load(importance + i));
  }
}

NIBBLE_LOOP void lane_sum(const float* values, size_t columns, float* sums) {
  constexpr size_t kStep = kSumAccumulators;
  Lanes sum = all(0.0f);
  size_t c = 0;
  if (columns >= kStep) {
    Lanes parts[kStep];
#pragma GCC unroll 8
    for (size_t a = 0; a < kStep; ++a) parts[a] = load(values + a * kTileRows);
    for (c = kStep; c + kStep <= columns; c += kStep)
#pragma GCC unroll 8
      for (size_t a = 0; a < kStep; ++a) parts[a] += load(values + (c + a) * kTileRows);
    sum = ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7]));
  }
  for (; c < columns; ++c) sum += load(values + c * kTileRows);
  store(sums, sum);
}

template <size_t kSamples>
NIBBLE_LOOP void product_pass(const float* tile, size_t columns, const float* x, size_t stride, bool add, float* out) {
  Lanes sums[kSamples];
#pragma GCC unroll 8
  for (size_t j = 0; j < kSamples; ++j) sums[j] = add ? load(out + j * kTileRows) : all(0.0f);
  for (size_t c = 0; c < columns; ++c) {
    Lanes column = load(tile + c * kTileRows);
#pragma GCC unroll 8
    for (size_t j = 0; j < kSamples; ++j) sums[j] += column * x[c * stride + j];
  }
#pragma GCC unroll 8
  for (size_t j = 0; j < kSamples; ++j) store(out + j * kTileRows, sums[j]);
}

NIBBLE_LOOP void product(const float* tile, size_t columns, const float* x, size_t samples, size_t stride, bool add, float* out) {
  size_t j = 0;
  for (; j + kSamplesPerPass <= samples; j += kSamplesPerPass)
    product_pass<kSamplesPerPass>(tile, columns, x + j, stride, add, out + j * kTileRows);
  for (; j < samples; ++j) product_pass<1>(tile, columns, x + j, stride, add, out + j * kTileRows);
}

NIBBLE_LOOP void square(const float* values, size_t columns, float* out) {
  for (size_t i = 0; i < columns * kTileRows; i += kTileRows) store(out + i, load(values + i) * load(values + i));
}

NIBBLE_LOOP void gptq(float* tile, size_t columns, const TileRule& rule, const float* inverse, size_t stride, const float* scales,
                      const float* zero_points, size_t group_stride, size_t first_column, size_t group_size, float* errors) {
  for (size_t i = 0; i < columns; ++i) {
    size_t group = (first_column + i) / group_size * group_stride;
    Lanes column = load(tile + i * kTileRows), scale = load(scales + group);
    Lanes value = target_of(column, rule, scale, load(zero_points + group)) * scale;
    Lanes error = (column - value) / inverse[i * stride + i];
    store(tile + i * kTileRows, value);
    store(errors + i * kTileRows, error);
    for (size_t j = i + 1; j < columns; ++j) {
      float* next = tile + j * kTileRows;
      store(next, load(next) - error * inverse[i * stride + j]);
    }
  }
}

}  // namespace nibble::tile_loops
