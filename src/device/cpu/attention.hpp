#pragma once

#include <span>

#include "base/thread_pool.hpp"
#include "device/cpu/kernels/attention.hpp"
#include "device/cpu/kv_cache.hpp"

namespace nibble::cpu {

/// Attention of one layer over the paged cache: softmax(q k^T * scale + ...) v for every new token over the tokens up to itself.
struct AttentionParameters {
  size_t layer = 0;  ///< of the cache
  size_t heads = 0;  ///< query heads, a multiple of the layer's key heads; query head h reads key head h / (heads / key heads)
  float scale = 1;
  size_t window = 0;              ///< a token sees this many tokens, itself included; 0: all
  float softcap = 0;              ///< scores become softcap * tanh(score / softcap), before bias and mask; 0: none
  std::span<const float> slopes;  ///< ALiBi, per query head: slope * (key position - query position) is added; empty: none
  float slope_unit = 0;           ///< not 0: slope_unit * bf16(slope * bf16(key position)) is added instead, as Falcon has it
  std::span<const float> sinks;   ///< per query head: one more score whose value is nothing; empty: none
};

/// New tokens of one sequence: rows [first_row, first_row + count) of q, k and v. They follow the committed tokens of the cache.
struct AttentionSpan {
  SequenceId sequence = 0;
  size_t first_row = 0, count = 0;
};

/// A matrix of f32 rows.
struct RowsView {
  const float* data = nullptr;
  size_t stride = 0;  ///< floats from row to row
  const float* row(size_t i) const { return data + i * stride; }
};

/// Runs attention with the kernels of one instruction set. Immutable, thread-safe. The result of a span depends on that span and its
/// sequence only, bit for bit: not on other spans, nor on the number of threads. A NaN in a query or a key makes NaN of the rows that see
/// it, no others.
class PagedAttention {
 public:
  /// `use_bf16`: products of prompts in bf16 where the processor has it (avx512bf16), else f32.
  PagedAttention(Isa isa, bool use_bf16);

  std::string_view name() const { return kernels_->name; }
  /// Writes the new keys [rows, key heads * key_dim] and values [rows, key heads * value_dim] behind the committed tokens (prepare() was
  /// called).
  void write(KvCache& cache, size_t layer, std::span<const AttentionSpan> spans, RowsView keys, RowsView values, ThreadPool& threads) const;
  /// out [rows, heads * value_dim], row stride out_stride; queries [rows, heads * key_dim]. After write(), before commit(). Memory beyond
  /// the result: some 300 KB a thread, and for spans of at most 8 tokens a row of values for every 512 tokens of context.
  void attend(const KvCache& cache, const AttentionParameters& parameters, std::span<const AttentionSpan> spans, RowsView queries,
              float* out, size_t out_stride, ThreadPool& threads) const;

 private:
  const AttentionKernels* kernels_;
};

}  // namespace nibble::cpu
