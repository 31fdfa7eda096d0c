#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.hpp"
#include "device/cpu/attention.hpp"
#include "device/cpu/conv_states.hpp"
#include "device/cpu/kernels/row_ops.hpp"
#include "device/cpu/packed_weights.hpp"

namespace nibble::cpu {

/// Columns [offset, offset + width) of every row of a slot. A row is a token.
struct View {
  size_t slot = 0, offset = 0, width = 0;
  bool operator==(const View&) const = default;
};

/// What a slot of the plan holds: rows of floats, one row per token of the batch.
struct Slot {
  enum class Kind { token_ids, positional, activation };
  Kind kind = Kind::activation;
  size_t width = 0;
  size_t buffer = 0;  ///< of the arena; slots that do not live at the same time share one
};

/// One run of a plan: the arena and what the steps need to know about the batch. For one thread; steps spread their work over `threads`.
class Execution {
 public:
  Execution(const struct Plan& plan, ThreadPool& threads) : plan_(plan), threads_(threads) {}

  /// Makes room for a batch. Contents of the slots are undefined afterwards.
  void start(size_t rows);
  size_t rows() const { return rows_; }
  float* row(View view, size_t r) const { return arena_.get() + buffer(view.slot) + r * stride(view.slot) + view.offset; }
  /// Floats from row to row.
  size_t stride(size_t slot) const;
  RowsView rows_view(View view) const { return {row(view, 0), stride(view.slot)}; }
  /// Keeps these rows only (ascending), in every buffer.
  void select_rows(std::span<const size_t> rows);

  const Plan& plan() const { return plan_; }
  ThreadPool& threads() const { return threads_; }
  /// Calls body(begin, end) on ranges of the rows; on this thread alone where `cost` (about nanoseconds per row) is not worth waking
  /// others.
  template <class Body>
  void for_rows(double cost, const Body& body) const {
    constexpr double kWorthThreads = 10000;  // several times what it takes to wake and join threads
    if (static_cast<double>(rows_) * cost < kWorthThreads) return body(size_t{0}, rows_);
    auto parts = static_cast<size_t>(threads_.size()) * 4;
    threads_.parallel_for(rows_, (rows_ + parts - 1) / parts, body);
  }
  /// Scratch memory that lives until the next call with the same index.
  std::byte* scratch(size_t index, size_t bytes);

  // The batch.
  std::span<const AttentionSpan> spans;
  std::vector<size_t> wanted_rows;  ///< whose results are asked for, ascending
  KvCache* cache = nullptr;
  ConvStates* conv_states = nullptr;

 private:
  size_t buffer(size_t slot) const;
  struct Free {
    void operator()(void* memory) const;
  };
  template <class T>
  using Memory = std::unique_ptr<T[], Free>;

  const Plan& plan_;
  ThreadPool& threads_;
  size_t rows_ = 0, laid_out_ = 0, capacity_ = 0;
  Memory<float> arena_;
  std::vector<std::pair<Memory<std::byte>, size_t>> scratch_;
};

/// An operation of the plan. Immutable once the plan is made.
class Step {
 public:
  virtual ~Step() = default;
  virtual std::string_view kind() const = 0;
  /// For a person: kernel, shapes, types.
  virtual std::string detail(const Plan& plan) const = 0;
  virtual std::vector<View> inputs() const = 0;
  virtual std::vector<View> outputs() const = 0;
  virtual void run(Execution& execution) const = 0;
  /// The input whose memory the output may take over when nothing else reads it later.
  virtual const View* in_place() const { return nullptr; }
  /// True for operations of the graph that have no kernel of their own here and run by their `evaluate`.
  virtual bool is_unfused() const { return false; }
  std::string name;  ///< of the graph's node
};

/// How a plan computes.
struct Precision {
  Isa isa = Isa::scalar;
  size_t dynamic_quantization_group = 32;  ///< columns of activations that share a scale; 0: activations stay floats
  bool bf16 = false;                       ///< products of float weights and of attention in bf16
  KvPrecision kv = KvPrecision::u8;
};

/// A language model as a list of operations over rows of tokens. Immutable; runs keep their state in Execution and KvCache.
struct Plan {
  Precision precision;
  std::vector<Slot> slots;
  std::vector<std::unique_ptr<Step>> steps;
  size_t rows_selected_before = 0;  ///< this step and later ones run only for the rows whose logits are asked for
  View logits;
  std::vector<KvLayer> kv_layers;
  std::vector<ConvLayer> conv_layers;
  std::vector<PackRequest> weight_requests;  ///< emptied when the weights are there
  std::shared_ptr<const PackedWeights> weights;
  std::vector<size_t> buffer_widths;  ///< of the arena, in floats per row
  size_t vocabulary = 0;

  /// Assigns buffers to slots by when they are live.
  void place_slots();
  size_t unfused_count() const;
  void run(Execution& execution) const;
};

}  // namespace nibble::cpu
