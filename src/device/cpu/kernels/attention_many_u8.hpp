#pragma once

// Private to the attention kernels: many rows over keys and values kept as 8-bit codes, in products of 16-bit integers, which processors
// multiply twice as fast as floats. A block is converted once into scratch: to 12 bits and a sign, relative to the greatest its token may
// have, 16 times finer than its codes. Queries are rounded relative to their greatest, weights (probability times the scale of the value)
// to 14 bits relative to the greatest of a row and block; sums are exact in 32 bits.

#include "device/cpu/kernels/attention_many.hpp"

namespace nibble::cpu {
namespace {

constexpr float kShortMax = 4095, kShortWeightMax = 16383;
static_assert(double{kKvBlock} * double{kShortMax} * double{kShortWeightMax} < 0x1p31);
/// With more dimensions too few bits would be left for queries.
constexpr size_t kMostShortDimensions = 256;

/// To how much queries are rounded, so that sums over the dimensions stay below 2^31.
inline float greatest_short_query(size_t dimensions) {
  float most = 0x1p31f / (kShortMax * static_cast<float>(dimensions + 1));
  return most < 32767 ? static_cast<float>(static_cast<int>(most)) : 32767;
}

/// What the integers of a block's tokens are multiplied with.
struct TokenScales {
  alignas(64) float scales[kKvBlock], inverses[kKvBlock];

  /// From scales and offsets of codes between kLow and kHigh. Scales of tokens with NaN or infinity become NaN.
  template <class V>
  void find(const float* groups, size_t count, float low, float high) {
    for (size_t i = 0; i < kKvBlock; i += V::kLanes) {
      auto greatest = V::set(0.0f), poison = V::set(0.0f);
      for (const float *group = groups + i, *end = group + count * 2 * kKvBlock; group < end; group += 2 * kKvBlock) {
        auto scale = V::load(group), offset = V::load(group + kKvBlock);
        greatest = V::max(V::absolute(V::fma(V::set(low), scale, offset)), greatest);
        greatest = V::max(V::absolute(V::fma(V::set(high), scale, offset)), greatest);
        poison = V::fma(scale + offset, V::set(0.0f), poison);
      }
      V::store(scales + i, V::fma(greatest, V::set(1 / kShortMax), poison));
    }
    for (size_t i = 0; i < kKvBlock; ++i) inverses[i] = reciprocal(scales[i]);
  }
};

template <class V>
class ManyCodes {
 public:
  explicit ManyCodes(const AttentionTask& task)
      : task_(task),
        layout_(*task.layout),
        scratch_(task.scratch),
        running_(task, scratch_),
        rows_(running_.rows()),
        depth_((layout_.key_dim + 1) / 2),
        queries_(scratch_.take<Shorts>((rows_ + V::kRows) * depth_)),
        query_scales_(scratch_.take<float>(rows_)),
        keys_(scratch_.take<Shorts>(depth_ * kKvBlock)),
        values_(scratch_.take<Shorts>(kBlockDepth * layout_.value_lanes)) {
    for (size_t row = 0; row < rows_; ++row) round_query(row);
  }

  void run() {
    for (size_t first = task_.key_begin; first < task_.key_end; first += kKvBlock)
      if (!running_.seen(first).none()) attend_block(task_.blocks[first / kKvBlock], first);
    running_.finish();
  }

 private:
  static constexpr size_t kBlockDepth = kKvBlock / 2;

  /// NaN and infinity give a scale of NaN.
  void round_query(size_t row) {
    alignas(64) float x[kMostShortDimensions] = {};
    alignas(64) Shorts rounded[kMostShortDimensions / 2];
    memcpy(x, task_.queries + row / task_.heads * task_.query_stride + row % task_.heads * layout_.key_dim,
           layout_.key_dim * sizeof(float));
    auto scale = V::set(task_.scale * kLog2E), greatest = V::set(0.0f), poison = V::set(0.0f);
    for (size_t i = 0; i < layout_.key_dim; i += V::kLanes) {
      auto scaled = V::load(x + i) * scale;
      V::store(x + i, scaled);
      greatest = V::max(V::absolute(scaled), greatest);
      poison = V::fma(scaled, V::set(0.0f), poison);
    }
    float unit = V::greatest(greatest) / greatest_short_query(layout_.key_dim);
    query_scales_[row] = unit + V::sum(poison);
    auto inverse = V::set(reciprocal(unit));
    for (size_t i = 0; i < layout_.key_dim; i += V::kLanes) V::store_shorts(rounded + i / 2, V::load(x + i) * inverse);
    Shorts* out = queries_ + row / V::kRows * V::kRows * depth_ + row % V::kRows;
    for (size_t k = 0; k < depth_; ++k) out[k * V::kRows] = rounded[k];
  }

  void attend_block(const std::byte* block, size_t first) {
    memcpy(&nonfinite_, block + layout_.nonfinite, sizeof(nonfinite_));
    load_keys(block);
    load_values(block);
    for (size_t row = 0; row < rows_; row += V::kRows)
      with_count<V::kRows>(rows_ - row, [&](auto count) { attend_group<count.value>(first, row); });
  }

  void load_keys(const std::byte* block) {
    const auto* groups = reinterpret_cast<const float*>(block + layout_.key_scales);
    key_scales_.find<V>(groups, (layout_.key_dim + kKvGroup - 1) / kKvGroup, 0, 255);
    CodedKeys<V> source{reinterpret_cast<const Codes*>(block), groups};
    for (size_t pair = 0; pair < depth_; ++pair)
      for (size_t lane = 0; lane < kKvBlock; lane += V::kLanes) {
        typename V::Float even, odd, inverse = V::load(key_scales_.inverses + lane);
        source.load(pair, lane, even, odd);
        V::store_shorts(keys_ + pair * kKvBlock + lane, even * inverse, 2 * pair + 1 < layout_.key_dim ? odd * inverse : V::set(0.0f));
      }
  }

  void load_values(const std::byte* block) {
    const auto* groups = reinterpret_cast<const float*>(block + layout_.value_scales);
    size_t lanes = layout_.value_lanes;
    value_scales_.find<V>(groups, (layout_.value_dim + kKvGroup - 1) / kKvGroup, -128, 127);
    CodedValues<V> source{reinterpret_cast<const SignedCodes*>(block + layout_.values), groups, lanes};
    for (size_t pair = 0; pair < kBlockDepth; ++pair) {
      auto even_inverse = V::set(value_scales_.inverses[2 * pair]), odd_inverse = V::set(value_scales_.inverses[2 * pair + 1]);
      for (size_t lane = 0; lane < lanes; lane += V::kLanes) {
        typename V::Float even, odd;
        source.load(pair, lane, even, odd);
        V::store_shorts(values_ + pair * lanes + lane, even * even_inverse, odd * odd_inverse);
      }
    }
  }

  template <size_t R>
  void attend_group(size_t first, size_t row) {
    Seen any = seen_by_any(task_, row / task_.heads, (row + R - 1) / task_.heads, first);
    if (any.none()) return;
    bool whole = seen_by(task_, row / task_.heads, first).all() && seen_by(task_, (row + R - 1) / task_.heads, first).all();
    alignas(64) float scores[V::kRows * kKvBlock];
    alignas(64) Shorts weights[V::kRows * kBlockDepth];
    alignas(64) float units[V::kLanes] = {};
    Seen seen[R];
    for (size_t r = 0; r < R; ++r) seen[r] = whole ? Seen{} : seen_by(task_, (row + r) / task_.heads, first);
    score_group<R>(row, scores);
    for (size_t r = 0; r < R; ++r) running_.softmax(row + r, first, seen[r], scores + r * kKvBlock, scores + r * kKvBlock);
    for (size_t r = 0; r < R; ++r) units[r] = weigh(seen[r], scores + r * kKvBlock);
    round_weights<R>(scores, units, weights);
    if (nonfinite_ != 0)
      for (size_t r = 0; r < R; ++r)
        if (sees_nonfinite(seen[r])) units[r] = __builtin_nanf("");
    add_values<R>(any, row, weights, units);
  }

  template <size_t R>
  void score_group(size_t row, float* scores) {
    constexpr size_t kWide = V::kColumns * V::kLanes;
    NothingAhead ahead;
    for (size_t lane = 0; lane < kKvBlock; lane += kWide)
      multiply<V, R, V::kColumns, 1, V::kRows>(
          queries_ + row * depth_, keys_ + lane, kKvBlock, depth_, ahead, [](size_t, size_t) { return typename V::Int{}; },
          [&](size_t r, size_t n, auto sum) {
            size_t column = lane + n * V::kLanes;
            auto scale = V::load(key_scales_.scales + column) * V::set(query_scales_[row + r]);
            V::store(scores + r * kKvBlock + column, V::to_float(sum) * scale);
          });
  }

  /// Probabilities become weights of the integers of values. Returns the greatest.
  float weigh(const Seen& seen, float* x) const {
    auto top = V::set(0.0f);
    for (size_t i = 0; i < kKvBlock; i += V::kLanes) {
      auto weight = V::load(x + i) * V::load(value_scales_.scales + i);
      if (nonfinite_ != 0) weight = only_seen<V>(weight, i, seen, 0);
      V::store(x + i, weight);
      top = V::max(weight, top);
    }
    return V::greatest(top);
  }

  /// In multiples of units, which are made from the greatest of each row.
  template <size_t R>
  static void round_weights(const float* weights, float* units, Shorts* out) {
    static_assert(R <= V::kLanes);
    alignas(64) float inverses[V::kLanes];
    auto unit = V::load(units) * V::set(1 / kShortWeightMax);
    V::store(units, unit);
    V::store(inverses, V::set(1.0f) / V::max(unit, V::set(kLeastScale)));
    for (size_t r = 0; r < R; ++r)
      for (size_t i = 0; i < kKvBlock; i += V::kLanes)
        V::store_shorts(out + (r * kKvBlock + i) / 2, V::load(weights + r * kKvBlock + i) * V::set(inverses[r]));
  }

  bool sees_nonfinite(const Seen& seen) const {
    return nonfinite_ != 0 && !seen.none() && (nonfinite_ >> seen.begin & (~uint64_t{0} >> (64 - (seen.end - seen.begin)))) != 0;
  }

  template <size_t R>
  void add_values(const Seen& seen, size_t row, const Shorts* weights, const float* units) {
    constexpr size_t kWide = V::kColumns * V::kLanes;
    size_t lane = 0;
    for (; lane + kWide <= layout_.value_lanes; lane += kWide) add_columns<R, V::kColumns>(seen, row, lane, weights, units);
    for (; lane < layout_.value_lanes; lane += V::kLanes) add_columns<R, 1>(seen, row, lane, weights, units);
  }

  template <size_t R, size_t N>
  void add_columns(const Seen& seen, size_t row, size_t lane, const Shorts* weights, const float* units) {
    size_t begin = static_cast<size_t>(seen.begin) / 2, end = (static_cast<size_t>(seen.end) + 1) / 2, lanes = layout_.value_lanes;
    float* out = task_.values + row * lanes + lane;
    NothingAhead ahead;
    multiply<V, R, N, kBlockDepth, 1>(
        weights + begin, values_ + begin * lanes + lane, lanes, end - begin, ahead, [](size_t, size_t) { return typename V::Int{}; },
        [&](size_t r, size_t n, auto sum) {
          float* at = out + r * lanes + n * V::kLanes;
          V::store(at, V::fma(V::to_float(sum), V::set(units[r]), V::load(at)));
        });
  }

  const AttentionTask& task_;
  const KvLayout& layout_;
  Scratch scratch_;
  SoftmaxRows<V> running_;
  size_t rows_, depth_;
  Shorts* queries_;  // [group of kRows][depth][kRows]
  float* query_scales_;
  Shorts* keys_;    // [depth][32]
  Shorts* values_;  // [16][value_lanes]
  TokenScales key_scales_, value_scales_;
  uint32_t nonfinite_ = 0;
};

template <class V>
void attend_many(const AttentionTask& task) {
  if (task.layout->precision == KvPrecision::u8 && task.layout->key_dim <= kMostShortDimensions)
    ManyCodes<V>(task).run();
  else
    attend_many_floats<V, float>(task);
}

}  // namespace
}  // namespace nibble::cpu
