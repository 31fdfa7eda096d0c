#pragma once

// Private to the attention kernels: up to kFewRows rows over keys and values kept as 8-bit codes. Codes go into integer dot products as
// they are, four at a time; queries and weighted probabilities are rounded relative to their greatest in a group or block: to 16 bits where
// products are of 16 bits, else to 8 bits, as finely as keys are.

#include "device/cpu/kernels/attention_few.hpp"

namespace nibble::cpu {
namespace {

constexpr size_t kBlockFours = kKvBlock / 4;  // of tokens
constexpr size_t kGroupFours = kKvGroup / 4;  // of dimensions
/// Probabilities of a block whose greatest is more than this share of the sum so far get 7 more bits, in a second product: rounded to 7
/// bits they would be wrong by up to 1/254 of the greatest each, and then of the whole.
constexpr float kPeak = 1.0f / 16;
constexpr float kFineSteps = 128;
template <class V>
class FewCodes {
 public:
  FewCodes(const AttentionTask& task, Scratch& scratch)
      : task_(task),
        layout_(*task.layout),
        key_groups_((layout_.key_dim + kKvGroup - 1) / kKvGroup),
        value_groups_((layout_.value_dim + kKvGroup - 1) / kKvGroup),
        few_(task, scratch, value_groups_),
        queries_(scratch.take<Factor>(key_groups_ * kGroupFours * kFewRows)),
        query_scales_(scratch.take<float>(key_groups_ * kFewRows)),
        query_sums_(scratch.take<float>(key_groups_ * kFewRows)),
        weights_(scratch.take<Factor>(value_groups_ * kFewRows * kBlockFours)),
        fine_weights_(scratch.take<Factor>(V::kRefined ? value_groups_ * kFewRows * kBlockFours : 0)),
        weight_scales_(scratch.take<float>(value_groups_ * kFewRows)),
        fine_scales_(scratch.take<float>(value_groups_ * kFewRows)),
        relative_(scratch.take<float>(value_groups_ * kKvBlock)),
        greatest_scale_(scratch.take<float>(value_groups_)) {}

  void run() {
    for (size_t row = 0; row < few_.rows(); ++row)
      for (size_t group = 0; group < key_groups_; ++group) round_query(row, group);
    for (size_t first = task_.key_begin; first < task_.key_end; first += kKvBlock) {
      Seen any = few_.seen(first);
      if (!any.none()) attend_block(task_.blocks[first / kKvBlock], first, any);
    }
    add_offsets();
    few_.finish();
  }

 private:
  using Factor = typename V::Factor;

  void attend_block(const std::byte* block, size_t first, const Seen& any) {
    ahead_ = block_after(task_, first);
    score(block);
    few_.softmax(first, scores_);
    round_weights(reinterpret_cast<const float*>(block + layout_.value_scales), first, any);
    add_values(reinterpret_cast<const SignedCodes*>(block + layout_.values), any);
  }

  /// query = factor * scale in a group; also the sum of those, for the offsets of keys. NaN and infinity give a scale of NaN.
  void round_query(size_t row, size_t group) {
    alignas(64) float x[kKvGroup] = {};
    alignas(64) Factor factors[kGroupFours];
    size_t begin = group * kKvGroup, size = least(kKvGroup, layout_.key_dim - begin);
    memcpy(x, task_.queries + row / task_.heads * task_.query_stride + row % task_.heads * layout_.key_dim + begin, size * sizeof(float));
    auto scale = V::set(task_.scale * kLog2E), greatest = V::set(0.0f), poison = V::set(0.0f);
    for (size_t i = 0; i < kKvGroup; i += V::kLanes) {
      auto scaled = V::load(x + i) * scale;
      V::store(x + i, scaled);
      greatest = V::max(V::absolute(scaled), greatest);
      poison = V::fma(scaled, V::set(0.0f), poison);
    }
    float top = V::greatest(greatest);
    auto inverse = V::set(top > V::kQueryMax * kLeastScale ? V::kQueryMax / top : 0.0f), sum = V::set(0.0f);
    for (size_t i = 0; i < kKvGroup; i += V::kLanes) sum = sum + V::round_to_factors(factors + i / 4, V::load(x + i) * inverse);
    query_scales_[group * kFewRows + row] = top / V::kQueryMax + V::sum(poison);
    query_sums_[group * kFewRows + row] = V::sum(sum) * query_scales_[group * kFewRows + row];
    for (size_t i = 0; i < kGroupFours; ++i) queries_[(group * kGroupFours + i) * kFewRows + row] = factors[i];
  }

  void score(const std::byte* block) {
    const auto* keys = reinterpret_cast<const Codes*>(block);
    const auto* scales = reinterpret_cast<const float*>(block + layout_.key_scales);
    for (size_t group = 0; group < key_groups_; ++group) {
      size_t fours = (least(kKvGroup, layout_.key_dim - group * kKvGroup) + 3) / 4;
      score_group(group, fours, keys + group * kGroupFours * kKvBlock, scales + group * 2 * kKvBlock);
    }
  }

  void score_group(size_t group, size_t fours, const Codes* keys, const float* scales) {
    constexpr size_t kWide = V::kColumns * V::kLanes;
    in_parts<V::kCodesTile>(few_.rows(), [&](size_t row, auto count) {
      const float *query_scales = query_scales_ + group * kFewRows + row, *query_sums = query_sums_ + group * kFewRows + row;
      for (size_t lane = 0; lane < kKvBlock; lane += kWide) {
        float* scores = scores_ + row * kKvBlock + lane;
        const float *key_scales = scales + lane, *offsets = key_scales + kKvBlock;
        multiply<V, count.value, V::kColumns, 1, kFewRows>(
            queries_ + group * kGroupFours * kFewRows + row, keys + lane, kKvBlock, fours, ahead_,
            [](size_t, size_t) { return typename V::Int{}; },
            [=](size_t r, size_t n, auto sum) {
              size_t column = n * V::kLanes;
              float* score = scores + r * kKvBlock + column;
              auto before = group == 0 ? V::set(0.0f) : V::load(score);
              before = V::fma(V::load(offsets + column), V::set(query_sums[r]), before);
              V::store(score, V::fma(V::to_float(sum), V::load(key_scales + column) * V::set(query_scales[r]), before));
            });
      }
    });
  }

  /// How a row's probabilities become integers: divided by `unit`; in two products where `is_fine`.
  struct Rounding {
    float unit, inverse;
    bool is_fine;
  };

  Rounding rounding_of(size_t row) const {
    const float* p = scores_ + row * kKvBlock;
    auto greatest = V::load(p);
    for (size_t i = V::kLanes; i < kKvBlock; i += V::kLanes) greatest = V::max(V::load(p + i), greatest);
    float top = V::greatest(greatest);
    bool is_fine = V::kRefined && top > kPeak * few_.sum(row);
    float unit = top * (1 / (is_fine ? V::kWeightMax * kFineSteps : V::kWeightMax));
    return {unit, reciprocal(unit), is_fine};
  }

  /// Probabilities times the scales of the values, as integers; times the offsets, added up.
  void round_weights(const float* scales, size_t first, const Seen& any) {
    for (size_t group = 0; group < value_groups_; ++group)
      greatest_scale_[group] = relative_scales(scales + group * 2 * kKvBlock, any, relative_ + group * kKvBlock);
    Rounding roundings[kFewRows];
    any_fine_ = false;
    for (size_t row = 0; row < few_.rows(); ++row) {
      roundings[row] = rounding_of(row);
      any_fine_ |= roundings[row].is_fine;
    }
    bool whole = few_.all_seen(first);
    for (size_t row = 0; row < few_.rows(); ++row) {
      Seen seen = whole ? Seen{} : seen_by(task_, row / task_.heads, first);
      if (any_fine_)
        round_row<V::kRefined>(row, roundings[row], scales + kKvBlock, seen);
      else
        round_row<false>(row, roundings[row], scales + kKvBlock, seen);
    }
  }

  /// Scales of the tokens seen, relative to the greatest, which is returned.
  float relative_scales(const float* scales, const Seen& any, float* relative) {
    auto top = V::set(0.0f);
    for (size_t i = 0; i < kKvBlock; i += V::kLanes) top = V::max(only_seen<V>(V::load(scales + i), i, any, 0), top);
    float greatest = V::greatest(top);
    auto inverse = V::set(reciprocal(greatest));
    for (size_t i = 0; i < kKvBlock; i += V::kLanes) V::store(relative + i, V::load(scales + i) * inverse);
    return greatest;
  }

  template <bool kFine>
  void round_row(size_t row, const Rounding& rounding, const float* offsets, const Seen& seen) {
    float steps = rounding.is_fine ? kFineSteps : 1;
    for (size_t group = 0; group < value_groups_; ++group) {
      size_t at = group * kFewRows + row;
      fine_scales_[at] = greatest_scale_[group] * rounding.unit;
      weight_scales_[at] = fine_scales_[at] * steps;
      if (seen.all())
        round_group<kFine, true>(at, rounding.inverse, steps, offsets + group * 2 * kKvBlock, seen);
      else
        round_group<kFine, false>(at, rounding.inverse, steps, offsets + group * 2 * kKvBlock, seen);
    }
  }

  /// Tokens that are not seen count as nothing, even where their scale is NaN.
  template <bool kFine, bool kWhole>
  void round_group(size_t at, float inverse, float steps, const float* offsets, const Seen& seen) {
    size_t group = at / kFewRows, row = at % kFewRows;
    const float *p = scores_ + row * kKvBlock, *relative = relative_ + group * kKvBlock;
    float* offset_sums = few_.extra(row) + group * V::kLanes;
    auto sum = V::load(offset_sums);
#pragma GCC unroll 2
    for (size_t i = 0; i < kKvBlock; i += V::kLanes) {
      auto weight = V::load(p + i) * V::set(inverse) * V::load(relative + i), offset = V::load(offsets + i);
      if constexpr (!kWhole) weight = only_seen<V>(weight, i, seen, 0), offset = only_seen<V>(offset, i, seen, 0);
      store_weights<kFine>(at * kBlockFours + i / 4, weight, steps);
      sum = V::fma(V::load(p + i), offset, sum);
    }
    V::store(offset_sums, sum);
  }

  template <bool kFine>
  void store_weights(size_t at, typename V::Float weight, float steps) {
    if constexpr (kFine) {
      auto whole = V::round(weight), coarse = V::floor(whole * V::set(1 / steps));
      V::round_to_factors(fine_weights_ + at, V::fma(coarse, V::set(-steps), whole));
      weight = coarse;
    }
    V::round_to_factors(weights_ + at, weight);
  }

  void add_values(const SignedCodes* codes, const Seen& any) {
    constexpr size_t kWide = V::kColumns * V::kLanes;
    for (size_t group = 0; group < value_groups_; ++group) {
      size_t lane = group * kKvGroup, end = least(lane + kKvGroup, layout_.value_lanes);
      for (; lane + kWide <= end; lane += kWide) add_columns<V::kColumns>(group, lane, codes, any);
      for (; lane < end; lane += V::kLanes) add_columns<1>(group, lane, codes, any);
    }
  }

  template <size_t N>
  void add_columns(size_t group, size_t lane, const SignedCodes* codes, const Seen& any) {
    add_products<N>(weights_ + group * kFewRows * kBlockFours, weight_scales_ + group * kFewRows, lane, codes, any);
    if constexpr (V::kRefined)
      if (any_fine_) add_products<N>(fine_weights_ + group * kFewRows * kBlockFours, fine_scales_ + group * kFewRows, lane, codes, any);
  }

  template <size_t N>
  void add_products(const Factor* weights, const float* scales, size_t lane, const SignedCodes* codes, const Seen& any) {
    size_t begin = static_cast<size_t>(any.begin) / 4, end = (static_cast<size_t>(any.end) + 3) / 4;
    size_t lanes = layout_.value_lanes;
    in_parts<V::kCodesTile>(few_.rows(), [&](size_t row, auto count) {
      float* values = task_.values + row * lanes + lane;
      const float* row_scales = scales + row;
      multiply<V, count.value, N, kBlockFours, 1>(
          weights + row * kBlockFours + begin, codes + begin * lanes + lane, lanes, end - begin, ahead_,
          [](size_t, size_t) { return typename V::Int{}; },
          [=](size_t r, size_t n, auto sum) {
            float* out = values + r * lanes + n * V::kLanes;
            V::store(out, V::fma(V::to_float(sum), V::set(row_scales[r]), V::load(out)));
          });
    });
  }

  void add_offsets() const {
    for (size_t row = 0; row < few_.rows(); ++row)
      for (size_t lane = 0; lane < layout_.value_lanes; lane += kKvGroup) {
        auto sum = V::set(V::sum(V::load(few_.extra(row) + lane / kKvGroup * V::kLanes)));
        float* values = task_.values + row * layout_.value_lanes + lane;
        for (size_t i = 0, end = least(kKvGroup, layout_.value_lanes - lane); i < end; i += V::kLanes)
          V::store(values + i, V::load(values + i) + sum);
      }
  }

  const AttentionTask& task_;
  const KvLayout& layout_;
  size_t key_groups_, value_groups_;
  SoftmaxRows<V> few_;
  Factor* queries_;      // [group][four dimensions][kFewRows]
  float* query_scales_;  // [group][kFewRows]
  float* query_sums_;
  Factor *weights_, *fine_weights_;      // [group][kFewRows][four tokens]
  float *weight_scales_, *fine_scales_;  // [group][kFewRows]
  float* relative_;                      // [group][32]: scales of the values relative to the greatest
  float* greatest_scale_;                // [group]
  bool any_fine_ = false;
  Ahead ahead_;
  alignas(64) float scores_[kFewRows * kKvBlock];
};

template <class V>
void attend_few_codes(const AttentionTask& task) {
  Scratch scratch(task.scratch);
  FewCodes<V>(task, scratch).run();
}

template <class V>
void attend_few(const AttentionTask& task) {
  switch (task.layout->precision) {
    case KvPrecision::f32: return attend_few_floats<V, float>(task);
    case KvPrecision::f16: return attend_few_floats<V, Half>(task);
    case KvPrecision::bf16: return attend_few_floats<V, Brain>(task);
    case KvPrecision::u8: return attend_few_codes<V>(task);
  }
}

}  // namespace
}  // namespace nibble::cpu
