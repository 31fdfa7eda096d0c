#pragma once

// Private to the attention kernels: many rows. A block of keys and values is converted once into scratch that stays in the L1 cache, and
// then multiplied with the rows in groups of V::kRows, a register tile.

#include "device/cpu/kernels/attention_softmax.hpp"

namespace nibble::cpu {
namespace {

/// Rows of 32-bit floats or less, read two at a time; beyond `count` rows there is 0.
template <class V, class B>
struct FloatRows {
  const B* rows;
  size_t stride, count;
  void load(size_t pair, size_t lane, typename V::Float& even, typename V::Float& odd) const {
    even = V::load(rows + 2 * pair * stride + lane);
    odd = 2 * pair + 1 < count ? V::load(rows + (2 * pair + 1) * stride + lane) : V::set(0.0f);
  }
};

/// Keys as codes: rows are dimensions, lanes are tokens.
template <class V>
struct CodedKeys {
  const Codes* codes;
  const float* scales;
  void load(size_t pair, size_t lane, typename V::Float& even, typename V::Float& odd) const {
    const float* group = scales + 2 * pair / kKvGroup * 2 * kKvBlock + lane;
    auto scale = V::load(group), offset = V::load(group + kKvBlock);
    const Codes* four = codes + pair / 2 * kKvBlock + lane;
    even = V::fma(V::code(four, 2 * (pair % 2)), scale, offset);
    odd = V::fma(V::code(four, 2 * (pair % 2) + 1), scale, offset);
  }
};

/// Values as codes: rows are tokens, lanes are dimensions.
template <class V>
struct CodedValues {
  const SignedCodes* codes;
  const float* scales;
  size_t stride;
  void load(size_t pair, size_t lane, typename V::Float& even, typename V::Float& odd) const {
    const float* group = scales + lane / kKvGroup * 2 * kKvBlock + 2 * pair;
    const SignedCodes* four = codes + pair / 2 * stride + lane;
    even = V::fma(V::code(four, 2 * (pair % 2)), V::set(group[0]), V::set(group[kKvBlock]));
    odd = V::fma(V::code(four, 2 * (pair % 2) + 1), V::set(group[1]), V::set(group[kKvBlock + 1]));
  }
};

template <class V>
inline void store_rows(float* out, size_t stride, size_t pair, typename V::Float even, typename V::Float odd) {
  V::store(out + 2 * pair * stride, even);
  V::store(out + (2 * pair + 1) * stride, odd);
}
template <class V>
inline void store_rows(Pair* out, size_t stride, size_t pair, typename V::Float even, typename V::Float odd) {
  V::store_interleaved(out + pair * stride, even, odd);
}

/// Rows outside `rows` become 0.
template <class V, class Source, class E>
inline void convert_rows(const Source& source, size_t pairs, size_t lanes, const Seen& rows, E* out) {
  for (size_t pair = 0; pair < pairs; ++pair) {
    auto row = static_cast<ptrdiff_t>(2 * pair);
    bool keep_even = row >= rows.begin && row < rows.end, keep_odd = row + 1 >= rows.begin && row + 1 < rows.end;
    for (size_t lane = 0; lane < lanes; lane += V::kLanes) {
      typename V::Float even, odd;
      source.load(pair, lane, even, odd);
      store_rows<V>(out + lane, lanes, pair, keep_even ? even : V::set(0.0f), keep_odd ? odd : V::set(0.0f));
    }
  }
}

/// Dimensions or tokens in an element of a product.
template <class E>
constexpr size_t kPerElement = 1;
template <>
constexpr size_t kPerElement<Pair> = 2;

/// E is what is multiplied: float, or Pair of bf16.
template <class V, class E>
class ManyRows {
 public:
  explicit ManyRows(const AttentionTask& task)
      : task_(task),
        layout_(*task.layout),
        scratch_(task.scratch),
        running_(task, scratch_),
        rows_(running_.rows()),
        depth_((layout_.key_dim + kStep - 1) / kStep),
        queries_(scratch_.take<E>((rows_ + V::kRows) * depth_)),
        keys_(scratch_.take<E>((layout_.key_dim + 1) / kStep * kKvBlock)),
        values_(scratch_.take<E>(kBlockDepth * layout_.value_lanes)) {
    for (size_t row = 0; row < rows_; ++row) pack_query(row);
  }

  void run() {
    for (size_t first = task_.key_begin; first < task_.key_end; first += kKvBlock)
      if (!running_.seen(first).none()) attend_block(task_.blocks[first / kKvBlock], first);
    running_.finish();
  }

 private:
  static constexpr size_t kStep = kPerElement<E>;
  static constexpr size_t kBlockDepth = kKvBlock / kStep;

  void pack_query(size_t row) {
    const float* query = task_.queries + row / task_.heads * task_.query_stride + row % task_.heads * layout_.key_dim;
    E* out = queries_ + row / V::kRows * V::kRows * depth_ + row % V::kRows;
    for (size_t begin = 0; begin < layout_.key_dim; begin += kKvBlock)
      pack_dimensions(query + begin, least(kKvBlock, layout_.key_dim - begin), out + begin / kStep * V::kRows);
  }

  void pack_dimensions(const float* query, size_t count, E* out) {
    alignas(64) float padded[kKvBlock] = {};
    alignas(64) E elements[kBlockDepth];
    memcpy(padded, query, count * sizeof(float));
    typename V::Float x[kKvBlock / V::kLanes];
    for (size_t i = 0; i < kKvBlock / V::kLanes; ++i) x[i] = V::load(padded + i * V::kLanes) * V::set(task_.scale * kLog2E);
    store_elements<V>(elements, x);
    for (size_t k = 0; k * kStep < count; ++k) out[k * V::kRows] = elements[k];
  }

  void attend_block(const std::byte* block, size_t first) {
    memcpy(&nonfinite_, block + layout_.nonfinite, sizeof(nonfinite_));
    load_keys(block);
    load_values(block, {});
    for (size_t row = 0; row < rows_; row += V::kRows)
      with_count<V::kRows>(rows_ - row, [&](auto count) { attend_group<count.value>(block, first, row); });
  }

  template <class B>
  void load_floats(const std::byte* from, size_t rows, size_t lanes, const Seen& seen, E* out) {
    convert_rows<V>(FloatRows<V, B>{reinterpret_cast<const B*>(from), lanes, rows}, (rows + 1) / 2, lanes, seen, out);
  }

  void load_keys(const std::byte* block) {
    size_t dim = layout_.key_dim;
    Seen all{0, PTRDIFF_MAX};
    switch (layout_.precision) {
      case KvPrecision::f32: return load_floats<float>(block, dim, kKvBlock, all, keys_);
      case KvPrecision::f16: return load_floats<Half>(block, dim, kKvBlock, all, keys_);
      case KvPrecision::bf16: return load_floats<Brain>(block, dim, kKvBlock, all, keys_);
      case KvPrecision::u8: {
        CodedKeys<V> source{reinterpret_cast<const Codes*>(block), reinterpret_cast<const float*>(block + layout_.key_scales)};
        return convert_rows<V>(source, (dim + 1) / 2, kKvBlock, Seen{0, static_cast<ptrdiff_t>(dim)}, keys_);
      }
    }
  }

  /// Values of the tokens `seen`, and 0 for the others.
  void load_values(const std::byte* block, const Seen& seen) {
    const std::byte* values = block + layout_.values;
    size_t lanes = layout_.value_lanes;
    switch (layout_.precision) {
      case KvPrecision::f32: return load_floats<float>(values, kKvBlock, lanes, seen, values_);
      case KvPrecision::f16: return load_floats<Half>(values, kKvBlock, lanes, seen, values_);
      case KvPrecision::bf16: return load_floats<Brain>(values, kKvBlock, lanes, seen, values_);
      case KvPrecision::u8: {
        CodedValues<V> source{reinterpret_cast<const SignedCodes*>(values), reinterpret_cast<const float*>(block + layout_.value_scales),
                              lanes};
        return convert_rows<V>(source, kKvBlock / 2, lanes, seen, values_);
      }
    }
  }

  template <size_t R>
  void attend_group(const std::byte* block, size_t first, size_t row) {
    Seen any = seen_by_any(task_, row / task_.heads, (row + R - 1) / task_.heads, first);
    if (any.none()) return;
    bool whole = seen_by(task_, row / task_.heads, first).all() && seen_by(task_, (row + R - 1) / task_.heads, first).all();
    alignas(64) float scores[V::kRows * kKvBlock];
    alignas(64) E probabilities[V::kRows * kBlockDepth];
    score_group<R>(row, scores);
    for (size_t r = 0; r < R; ++r) {
      Seen seen = whole ? Seen{} : seen_by(task_, (row + r) / task_.heads, first);
      running_.softmax(row + r, first, seen, scores + r * kKvBlock, probabilities + r * kBlockDepth);
    }
    if (nonfinite_ == 0 || whole) return add_values<R>(any, row, probabilities);
    for (size_t r = 0; r < R; ++r)
      add_values_of_row(block, seen_by(task_, (row + r) / task_.heads, first), row + r, probabilities + r * kBlockDepth);
    load_values(block, {});
  }

  template <size_t R>
  void score_group(size_t row, float* scores) {
    constexpr size_t kWide = V::kColumns * V::kLanes;
    NothingAhead ahead;
    for (size_t lane = 0; lane < kKvBlock; lane += kWide)
      multiply<V, R, V::kColumns, 1, V::kRows>(
          queries_ + row * depth_, keys_ + lane, kKvBlock, depth_, ahead, [](size_t, size_t) { return typename V::Float{}; },
          [&](size_t r, size_t n, auto sum) { V::store(scores + r * kKvBlock + lane + n * V::kLanes, sum); });
  }

  template <size_t R>
  void add_values(const Seen& seen, size_t row, const E* probabilities) {
    constexpr size_t kWide = V::kColumns * V::kLanes;
    size_t lane = 0;
    for (; lane + kWide <= layout_.value_lanes; lane += kWide) add_columns<R, V::kColumns>(seen, row, lane, probabilities);
    for (; lane < layout_.value_lanes; lane += V::kLanes) add_columns<R, 1>(seen, row, lane, probabilities);
  }

  template <size_t R, size_t N>
  void add_columns(const Seen& seen, size_t row, size_t lane, const E* probabilities) {
    size_t begin = static_cast<size_t>(seen.begin) / kStep, end = (static_cast<size_t>(seen.end) + kStep - 1) / kStep,
           lanes = layout_.value_lanes;
    float* out = task_.values + row * lanes + lane;
    NothingAhead ahead;
    multiply<V, R, N, kBlockDepth, 1>(
        probabilities + begin, values_ + begin * lanes + lane, lanes, end - begin, ahead,
        [&](size_t r, size_t n) { return V::load(out + r * lanes + n * V::kLanes); },
        [&](size_t r, size_t n, auto sum) { V::store(out + r * lanes + n * V::kLanes, sum); });
  }

  /// A value that is NaN or infinite must not reach the rows that do not see it, not even times a probability of 0.
  void add_values_of_row(const std::byte* block, const Seen& seen, size_t row, const E* probabilities) {
    if (seen.none()) return;
    load_values(block, seen);
    add_values<1>(seen, row, probabilities);
  }

  const AttentionTask& task_;
  const KvLayout& layout_;
  Scratch scratch_;
  SoftmaxRows<V> running_;
  size_t rows_, depth_;
  E* queries_;  // [group of kRows][depth][kRows]
  E* keys_;     // [depth][32]
  E* values_;   // [32 / kStep][value_lanes]
  uint32_t nonfinite_ = 0;
};

template <class V, class E>
void attend_many_floats(const AttentionTask& task) {
  ManyRows<V, E>(task).run();
}

}  // namespace
}  // namespace nibble::cpu
