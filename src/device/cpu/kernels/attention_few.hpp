#pragma once

// Private to the attention kernels: up to kFewRows rows over keys and values kept as floats of 32 or 16 bits.

#include "device/cpu/kernels/attention_softmax.hpp"

namespace nibble::cpu {
namespace {

/// What the loops over few rows share, whatever the precision: the running softmax.
template <class V>
class FewRows {
 public:
  /// `extra` sums a row besides the probabilities' own, in lanes.
  FewRows(const AttentionTask& task, Scratch& scratch, size_t extra)
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
  /// Scores [rows][32] of the block at `first` become probabilities.
  void softmax(size_t first, float* scores) const {
    bool whole = all_seen(first);
    for (size_t row = 0; row < rows_; ++row) {
      float* x = scores + row * kKvBlock;
      if (task_.softcap != 0 || task_.slopes)
        bend_scores<V>(task_, row % task_.heads, static_cast<ptrdiff_t>(first) - static_cast<ptrdiff_t>(task_.position + row / task_.heads),
                       x);
      RowSums sums{task_.maxima + row, lanes_ + row * lane_count_, lane_count_, task_.values + row * task_.layout->value_lanes,
                   task_.layout->value_lanes};
      softmax_row<V>(x, whole ? Seen{} : seen_by(task_, row / task_.heads, first), sums, x);
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

inline Ahead block_after(const AttentionTask& task, size_t first) {
  return first + kKvBlock < task.key_end ? Ahead(task.blocks[first / kKvBlock + 1], task.layout->bytes) : Ahead();
}

/// values[rows] += probabilities * values of tokens [seen.begin, seen.end).
template <class V, size_t N, class B>
inline void add_values(const B* b, const Seen& seen, const float* probabilities, size_t rows, float* values, size_t value_lanes,
                       Ahead& ahead) {
  b += static_cast<size_t>(seen.begin) * value_lanes;
  probabilities += seen.begin;
  in_parts<V::kFewTile>(rows, [&](size_t row, auto count) {
    float* out = values + row * value_lanes;
    multiply<V, count.value, N, kKvBlock, 1>(
        probabilities + row * kKvBlock, b, value_lanes, static_cast<size_t>(seen.end - seen.begin), ahead,
        [&](size_t r, size_t n) { return V::load(out + r * value_lanes + n * V::kLanes); },
        [&](size_t r, size_t n, auto sum) { V::store(out + r * value_lanes + n * V::kLanes, sum); });
  });
}

template <class V, class B>
inline void add_all_values(const B* b, const Seen& seen, const float* probabilities, size_t rows, float* values, size_t value_lanes,
                           Ahead& ahead) {
  constexpr size_t kWide = V::kColumns * V::kLanes;
  size_t lane = 0;
  for (; lane + kWide <= value_lanes; lane += kWide)
    add_values<V, V::kColumns>(b + lane, seen, probabilities, rows, values + lane, value_lanes, ahead);
  for (; lane < value_lanes; lane += V::kLanes) add_values<V, 1>(b + lane, seen, probabilities, rows, values + lane, value_lanes, ahead);
}

/// Queries for scores in bits, as [key_dim][kFewRows].
inline void spread_queries(const AttentionTask& task, float* out) {
  for (size_t row = 0; row < task.tokens * task.heads; ++row) {
    const float* query = task.queries + row / task.heads * task.query_stride + row % task.heads * task.layout->key_dim;
    for (size_t d = 0; d < task.layout->key_dim; ++d) out[d * kFewRows + row] = query[d] * (task.scale * kLog2E);
  }
}

template <class V, class B>
inline void score_keys(const float* queries, const B* keys, size_t key_dim, size_t rows, float* scores, Ahead& ahead) {
  constexpr size_t kWide = V::kColumns * V::kLanes;
  in_parts<V::kFewTile>(rows, [&](size_t row, auto count) {
    for (size_t lane = 0; lane < kKvBlock; lane += kWide)
      multiply<V, count.value, V::kColumns, 1, kFewRows>(
          queries + row, keys + lane, kKvBlock, key_dim, ahead, [](size_t, size_t) { return typename V::Float{}; },
          [&](size_t r, size_t n, auto sum) { V::store(scores + (row + r) * kKvBlock + lane + n * V::kLanes, sum); });
  });
}

/// A value that is NaN or infinite must not reach the rows that do not see it, not even times a probability of 0: those blocks go row by
/// row.
template <class V, class B>
inline void add_block_values(const AttentionTask& task, const std::byte* block, size_t first, const Seen& any, const float* probabilities,
                             Ahead& ahead) {
  const KvLayout& layout = *task.layout;
  const auto* values = reinterpret_cast<const B*>(block + layout.values);
  uint32_t nonfinite;
  memcpy(&nonfinite, block + layout.nonfinite, sizeof(nonfinite));
  if (nonfinite == 0)
    return add_all_values<V>(values, any, probabilities, task.tokens * task.heads, task.values, layout.value_lanes, ahead);
  for (size_t row = 0; row < task.tokens * task.heads; ++row) {
    Seen seen = seen_by(task, row / task.heads, first);
    if (!seen.none())
      add_all_values<V>(values, seen, probabilities + row * kKvBlock, 1, task.values + row * layout.value_lanes, layout.value_lanes, ahead);
  }
}

template <class V, class B>
void attend_few_floats(const AttentionTask& task) {
  const KvLayout& layout = *task.layout;
  Scratch scratch(task.scratch);
  FewRows<V> few(task, scratch, 0);
  auto* queries = scratch.take<float>(layout.key_dim * kFewRows);
  spread_queries(task, queries);
  alignas(64) float scores[kFewRows * kKvBlock];
  for (size_t first = task.key_begin; first < task.key_end; first += kKvBlock) {
    Seen any = few.seen(first);
    if (any.none()) continue;
    const std::byte* block = task.blocks[first / kKvBlock];
    Ahead ahead = block_after(task, first);
    score_keys<V>(queries, reinterpret_cast<const B*>(block), layout.key_dim, few.rows(), scores, ahead);
    few.softmax(first, scores);
    add_block_values<V, B>(task, block, first, any, scores, ahead);
  }
  few.finish();
}

}  // namespace
}  // namespace nibble::cpu
