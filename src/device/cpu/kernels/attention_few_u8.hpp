#pragma once

// Private to the attention kernels: up to kFewRows rows over keys and values kept as 8-bit codes. Codes go into 16-bit dot products as they
// are; queries and weighted probabilities are rounded to 16 bits, relative to their greatest, which leaves an error far below that of the
// codes.

#include "device/cpu/kernels/attention_few.hpp"

namespace nibble::cpu {
namespace {

constexpr float kCodeMax = 32767;             // sums of 32 products with 8-bit codes stay below 2^31
constexpr size_t kBlockPairs = kKvBlock / 2;  // of tokens
constexpr size_t kGroupPairs = kKvGroup / 2;  // of dimensions
/// Below this the reciprocal is infinite.
constexpr float kLeastScale = 1e-37f;

inline float reciprocal(float x) { return x > kLeastScale ? 1 / x : 0; }

template <class V>
class FewCodes {
 public:
  FewCodes(const AttentionTask& task, Scratch& scratch)
      : task_(task),
        layout_(*task.layout),
        key_groups_((layout_.key_dim + kKvGroup - 1) / kKvGroup),
        value_groups_((layout_.value_dim + kKvGroup - 1) / kKvGroup),
        few_(task, scratch, value_groups_),
        queries_(scratch.take<Pair>(key_groups_ * kGroupPairs * kFewRows)),
        query_scales_(scratch.take<float>(key_groups_ * kFewRows)),
        query_sums_(scratch.take<float>(key_groups_ * kFewRows)),
        weights_(scratch.take<Pair>(value_groups_ * kFewRows * kBlockPairs)),
        weight_scales_(scratch.take<float>(value_groups_ * kFewRows)),
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
  void attend_block(const std::byte* block, size_t first, const Seen& any) {
    ahead_ = block_after(task_, first);
    score(block);
    few_.softmax(first, scores_);
    round_weights(reinterpret_cast<const float*>(block + layout_.value_scales), first, any);
    add_values(reinterpret_cast<const Codes*>(block + layout_.values), any);
  }

  /// query = code * scale in a group; also the sum of those, for the offsets of keys. NaN and infinity give a scale of NaN.
  void round_query(size_t row, size_t group) {
    alignas(64) float x[kKvGroup] = {};
    alignas(64) Pair codes[kGroupPairs];
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
    auto inverse = V::set(top > kCodeMax * kLeastScale ? kCodeMax / top : 0.0f), sum = V::set(0.0f);
    for (size_t i = 0; i < kKvGroup; i += V::kLanes) sum = sum + V::round_to_codes(codes + i / 2, V::load(x + i) * inverse);
    query_scales_[group * kFewRows + row] = top / kCodeMax + V::sum(poison);
    query_sums_[group * kFewRows + row] = V::sum(sum) * query_scales_[group * kFewRows + row];
    for (size_t i = 0; i < kGroupPairs; ++i) queries_[(group * kGroupPairs + i) * kFewRows + row] = codes[i];
  }

  void score(const std::byte* block) {
    const auto* keys = reinterpret_cast<const Codes*>(block);
    const auto* scales = reinterpret_cast<const float*>(block + layout_.key_scales);
    for (size_t group = 0; group < key_groups_; ++group) {
      size_t pairs = (least(kKvGroup, layout_.key_dim - group * kKvGroup) + 1) / 2;
      score_group(group, pairs, keys + group * kGroupPairs * kKvBlock, scales + group * 2 * kKvBlock);
    }
  }

  void score_group(size_t group, size_t pairs, const Codes* keys, const float* scales) {
    constexpr size_t kWide = V::kColumns * V::kLanes;
    in_parts<V::kFewTile>(few_.rows(), [&](size_t row, auto count) {
      for (size_t lane = 0; lane < kKvBlock; lane += kWide) {
        multiply<V, count.value, V::kColumns, 1, kFewRows>(
            queries_ + group * kGroupPairs * kFewRows + row, keys + lane, kKvBlock, pairs, ahead_,
            [](size_t, size_t) { return typename V::Int{}; },
            [&](size_t r, size_t n, auto sum) {
              size_t column = lane + n * V::kLanes, at = group * kFewRows + row + r;
              float* score = scores_ + (row + r) * kKvBlock + column;
              auto before = group == 0 ? V::set(0.0f) : V::load(score);
              before = V::fma(V::load(scales + kKvBlock + column), V::set(query_sums_[at]), before);
              V::store(score, V::fma(V::to_float(sum), V::load(scales + column) * V::set(query_scales_[at]), before));
            });
      }
    });
  }

  /// Probabilities times the scales of the values, as 16-bit codes; times the offsets, added up.
  void round_weights(const float* scales, size_t first, const Seen& any) {
    for (size_t group = 0; group < value_groups_; ++group)
      greatest_scale_[group] = relative_scales(scales + group * 2 * kKvBlock, any, relative_ + group * kKvBlock);
    bool whole = few_.all_seen(first);
    for (size_t row = 0; row < few_.rows(); ++row) {
      const float* p = scores_ + row * kKvBlock;
      auto greatest = V::load(p);
      for (size_t i = V::kLanes; i < kKvBlock; i += V::kLanes) greatest = V::max(V::load(p + i), greatest);
      float top = V::greatest(greatest), unit = top * (1 / kCodeMax), inverse = reciprocal(unit);
      Seen seen = whole ? Seen{} : seen_by(task_, row / task_.heads, first);
      for (size_t group = 0; group < value_groups_; ++group) {
        weight_scales_[group * kFewRows + row] = greatest_scale_[group] * unit;
        round_row(row, group, inverse, scales + group * 2 * kKvBlock + kKvBlock, seen);
      }
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

  /// Tokens that are not seen count as nothing, even where their scale is NaN.
  void round_row(size_t row, size_t group, float inverse, const float* offsets, const Seen& seen) {
    const float *p = scores_ + row * kKvBlock, *relative = relative_ + group * kKvBlock;
    Pair* codes = weights_ + (group * kFewRows + row) * kBlockPairs;
    float* offset_sums = few_.extra(row) + group * V::kLanes;
    auto sum = V::load(offset_sums);
    for (size_t i = 0; i < kKvBlock; i += V::kLanes) {
      auto weight = V::load(p + i) * V::set(inverse) * V::load(relative + i), offset = V::load(offsets + i);
      if (!seen.all()) weight = only_seen<V>(weight, i, seen, 0), offset = only_seen<V>(offset, i, seen, 0);
      V::round_to_codes(codes + i / 2, weight);
      sum = V::fma(V::load(p + i), offset, sum);
    }
    V::store(offset_sums, sum);
  }

  void add_values(const Codes* codes, const Seen& any) {
    constexpr size_t kWide = V::kColumns * V::kLanes;
    for (size_t group = 0; group < value_groups_; ++group) {
      size_t lane = group * kKvGroup, end = least(lane + kKvGroup, layout_.value_lanes);
      for (; lane + kWide <= end; lane += kWide) add_columns<V::kColumns>(group, lane, codes, any);
      for (; lane < end; lane += V::kLanes) add_columns<1>(group, lane, codes, any);
    }
  }

  template <size_t N>
  void add_columns(size_t group, size_t lane, const Codes* codes, const Seen& any) {
    size_t begin = static_cast<size_t>(any.begin) / 2, end = (static_cast<size_t>(any.end) + 1) / 2;
    in_parts<V::kFewTile>(few_.rows(), [&](size_t row, auto count) {
      multiply<V, count.value, N, kBlockPairs, 1>(
          weights_ + (group * kFewRows + row) * kBlockPairs + begin, codes + begin * layout_.value_lanes + lane, layout_.value_lanes,
          end - begin, ahead_, [](size_t, size_t) { return typename V::Int{}; },
          [&](size_t r, size_t n, auto sum) {
            float* out = task_.values + (row + r) * layout_.value_lanes + lane + n * V::kLanes;
            V::store(out, V::fma(V::to_float(sum), V::set(weight_scales_[group * kFewRows + row + r]), V::load(out)));
          });
    });
  }

  void add_offsets() const {
    for (size_t row = 0; row < few_.rows(); ++row)
      for (size_t lane = 0; lane < layout_.value_lanes; ++lane) {
        float* sums = few_.extra(row) + lane / kKvGroup * V::kLanes;
        if (lane % kKvGroup == 0) sums[0] = V::sum(V::load(sums));
        task_.values[row * layout_.value_lanes + lane] += sums[0];
      }
  }

  const AttentionTask& task_;
  const KvLayout& layout_;
  size_t key_groups_, value_groups_;
  FewRows<V> few_;
  Pair* queries_;        // [group][pair of dimensions][kFewRows]
  float* query_scales_;  // [group][kFewRows]
  float* query_sums_;
  Pair* weights_;  // [group][kFewRows][pair of tokens]
  float* weight_scales_;
  float* relative_;        // [group][32]: scales of the values relative to the greatest
  float* greatest_scale_;  // [group]
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
