#pragma once

// Private to the attention kernels: up to kFewRows rows over keys and values kept as floats of 32 or 16 bits.

#include "device/cpu/kernels/attention_softmax.hpp"

namespace nibble::cpu {
namespace {

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
  SoftmaxRows<V> few(task, scratch, 0);
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
