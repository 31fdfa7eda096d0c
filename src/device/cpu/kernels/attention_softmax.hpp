#pragma once

// Private to the attention kernels: the online softmax of rows over blocks of keys.

#include "device/cpu/kernels/attention_vectors.hpp"

namespace nibble::cpu {
namespace {

constexpr float kLowest = -3.402823466e+38f;
/// How far scores may exceed the maximum that probabilities are relative to before it is raised: a factor of 2^12 costs no precision, and
/// so most blocks need neither the greatest score nor rescaled sums.
constexpr float kSlack = 12;

/// Tokens [begin, end) of a block.
struct Seen {
  ptrdiff_t begin = 0, end = kKvBlock;
  bool none() const { return begin >= end; }
  bool all() const { return begin <= 0 && end >= static_cast<ptrdiff_t>(kKvBlock); }
};

inline ptrdiff_t clamp_to_block(ptrdiff_t token) {
  constexpr auto kEnd = static_cast<ptrdiff_t>(kKvBlock);
  return token < 0 ? 0 : token > kEnd ? kEnd : token;
}

/// What query token `token` sees of the block whose first token is `first`.
inline Seen seen_by(const AttentionTask& task, size_t token, size_t first) {
  auto end = static_cast<ptrdiff_t>(task.position + token + 1 - first);
  bool bounded = task.window != 0 && task.window < static_cast<size_t>(PTRDIFF_MAX);
  ptrdiff_t begin = bounded ? end - static_cast<ptrdiff_t>(task.window) : 0;
  return {clamp_to_block(begin), clamp_to_block(end)};
}

/// What several neighbouring query tokens see together.
inline Seen seen_by_any(const AttentionTask& task, size_t first_token, size_t last_token, size_t first) {
  return {seen_by(task, first_token, first).begin, seen_by(task, last_token, first).end};
}

/// The running softmax of a row: sums of probabilities, and of what else is weighted with them, all relative to 2^maximum. Scores are in
/// bits.
struct RowSums {
  float* maximum;
  float* lanes;  ///< lane_count sums kept lane by lane
  size_t lane_count;
  float* values;
  size_t value_lanes;
};

template <class V>
inline void shrink(float* x, size_t count, typename V::Float factor) {
  for (size_t i = 0; i < count; i += V::kLanes) V::store(x + i, V::load(x + i) * factor);
}

template <class V>
__attribute__((noinline)) void raise_maximum(const RowSums& row, float maximum) {
  auto factor = V::exp2(V::set(*row.maximum - maximum));
  *row.maximum = maximum;
  shrink<V>(row.lanes, row.lane_count, factor);
  shrink<V>(row.values, row.value_lanes, factor);
}

/// tanh(x) = 1 - 2 / (e^(2x) + 1), for x in bits; 2^100 is as good as infinite.
template <class V>
inline typename V::Float tanh(typename V::Float x) {
  auto one = V::set(1.0f);
  return one - V::set(2.0f) / (V::exp2(V::min(V::set(100.0f), x + x)) + one);
}

/// What ALiBi makes of the scores of the keys from `key` on.
template <class V>
inline typename V::Float add_alibi(const AttentionTask& task, size_t query, size_t head, size_t key, typename V::Float x) {
  if (task.slope_unit == 0) {
    auto distance = static_cast<float>(static_cast<ptrdiff_t>(key) - static_cast<ptrdiff_t>(query));
    return V::fma(V::set(task.slopes[head] * kLog2E), V::lane_numbers() + V::set(distance), x);
  }
  auto places = V::round_to_bf16(V::lane_numbers() + V::set(static_cast<float>(key)));
  return V::fma(V::set(task.slope_unit * kLog2E), V::round_to_bf16(V::set(task.slopes[head]) * places), x);
}

/// Softcap and ALiBi, for the block of keys at `first`.
template <class V>
inline void bend_scores(const AttentionTask& task, size_t row, size_t first, float* scores) {
  for (size_t i = 0; i < kKvBlock; i += V::kLanes) {
    auto x = V::load(scores + i);
    if (task.softcap != 0) x = V::set(task.softcap * kLog2E) * tanh<V>(x / V::set(task.softcap));
    if (task.slopes) x = add_alibi<V>(task, task.position + row / task.heads, row % task.heads, first + i, x);
    V::store(scores + i, x);
  }
}

/// Lanes of tokens that are not seen become `other`, whatever was there.
template <class V>
inline typename V::Float only_seen(typename V::Float x, size_t first_lane, const Seen& seen, float other) {
  auto lanes = V::lane_numbers() + V::set(static_cast<float>(first_lane));
  return V::between(lanes, static_cast<float>(seen.begin), static_cast<float>(seen.end), x, V::set(other));
}

/// Probabilities to be rounded to bf16 need not be precise.
template <class V>
inline typename V::Float exp2_for(const float*, typename V::Float x) {
  return V::exp2(x);
}
template <class V>
inline typename V::Float exp2_for(const Pair*, typename V::Float x) {
  return V::exp2_rough(x);
}

/// Stores 32 numbers as they will be multiplied.
template <class V>
inline void store_elements(float* out, const typename V::Float* x) {
  for (size_t i = 0; i < kKvBlock / V::kLanes; ++i) V::store(out + i * V::kLanes, x[i]);
}
template <class V>
inline void store_elements(Pair* out, const typename V::Float* x) {
  V::store_pairs(out, x[0], x[1]);
}

/// Turns a row's scores of a block into 2^(score - maximum), and adds them up in the first lanes of the row.
template <class V, class P>
inline void softmax_row(const float* scores, const Seen& seen, const RowSums& row, P* probabilities) {
  constexpr size_t kVectors = kKvBlock / V::kLanes;
  typename V::Float x[kVectors], top;
  for (size_t i = 0; i < kVectors; ++i) {
    x[i] = V::load(scores + i * V::kLanes);
    if (!seen.all()) x[i] = only_seen<V>(x[i], i * V::kLanes, seen, -__builtin_inff());
    top = i == 0 ? x[0] : V::max(top, x[i]);
  }
  if (V::any_greater(top, V::set(*row.maximum + kSlack))) raise_maximum<V>(row, V::greatest(top));
  auto maximum = V::set(*row.maximum);
  auto sum = V::load(row.lanes);
  for (auto& p : x) {
    p = exp2_for<V>(probabilities, p - maximum);
    sum = sum + p;
  }
  V::store(row.lanes, sum);
  store_elements<V>(probabilities, x);
}

/// The running softmax of all rows of a task: what every loop over blocks of keys keeps.
template <class V>
class SoftmaxRows {
 public:
  /// `extra` sums a row besides the probabilities' own, in lanes.
  SoftmaxRows(const AttentionTask& task, Scratch& scratch, size_t extra = 0)
      : task_(task),
        rows_(task.tokens * task.heads),
        lane_count_((1 + extra) * V::kLanes),
        lanes_(scratch.take<float>(rows_ * lane_count_)) {
    memset(lanes_, 0, rows_ * lane_count_ * sizeof(float));
    memset(task.values, 0, rows_ * task.layout->value_lanes * sizeof(float));
    for (size_t row = 0; row < rows_; ++row) task.maxima[row] = kLowest;
  }

  size_t rows() const { return rows_; }
  float* extra(size_t row) const { return lanes_ + row * lane_count_ + V::kLanes; }
  /// Of the probabilities of a row so far.
  float sum(size_t row) const { return V::sum(V::load(lanes_ + row * lane_count_)); }
  /// Scores of a row and the block at `first`, of which it sees `seen`, become probabilities. As a call of its own it makes attention of
  /// AVX2 over u8 a tenth slower.
  template <class P>
  [[gnu::always_inline]] void softmax(size_t row, size_t first, const Seen& seen, float* scores, P* probabilities) const {
    size_t lanes = task_.layout->value_lanes;
    RowSums sums{task_.maxima + row, lanes_ + row * lane_count_, lane_count_, task_.values + row * lanes, lanes};
    if (task_.softcap != 0 || task_.slopes) bend_scores<V>(task_, row, first, scores);
    softmax_row<V>(scores, seen, sums, probabilities);
  }
  /// Scores [rows][32] of the block at `first` become probabilities.
  void softmax(size_t first, float* scores) const {
    bool whole = all_seen(first);
    for (size_t row = 0; row < rows_; ++row) {
      float* x = scores + row * kKvBlock;
      softmax(row, first, whole ? Seen{} : seen_by(task_, row / task_.heads, first), x, x);
    }
  }
  /// Whether all rows see the whole block.
  bool all_seen(size_t first) const { return seen_by(task_, 0, first).all() && seen_by(task_, task_.tokens - 1, first).all(); }
  /// What any of them sees of it.
  Seen seen(size_t first) const { return seen_by_any(task_, 0, task_.tokens - 1, first); }
  void finish() const {
    for (size_t row = 0; row < rows_; ++row) task_.sums[row] = sum(row);
  }

 private:
  const AttentionTask& task_;
  size_t rows_, lane_count_;
  float* lanes_;
};

}  // namespace
}  // namespace nibble::cpu
