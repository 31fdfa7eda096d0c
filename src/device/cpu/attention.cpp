#include "device/cpu/attention.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <vector>

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

/// Keys that one work item of a short span attends to: enough to hide its start, few enough for many threads. Fixed, because the order of
/// additions depends on it.
constexpr size_t kPartition = 1024;
/// Longer spans have enough rows to share among threads.
constexpr size_t kSplitTokens = 8;
/// Rows of a tile: a multiple of the kernels' 12 and 6, whose queries and sums take at most 256 KB of the L2 cache.
constexpr size_t kTileRows = 240, kTileFloats = 65536, kLeastTileRows = 48;
/// Items for each thread, so that none waits long for the last.
constexpr size_t kItemsPerThread = 4;
/// Multiply-adds, or numbers written, that are worth waking another thread: some 5 microseconds.
constexpr size_t kWorkPerThread = size_t{1} << 18, kWritesPerThread = size_t{1} << 12;
constexpr size_t kAlignment = 64;

struct AlignedDelete {
  void operator()(std::byte* memory) const { ::operator delete (memory, std::align_val_t{kAlignment}); }
};
using AlignedBytes = std::unique_ptr<std::byte, AlignedDelete>;

AlignedBytes aligned_bytes(size_t bytes) {
  return AlignedBytes(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kAlignment})));
}

size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }

size_t useful_threads(const ThreadPool& threads, size_t work, size_t per_thread) {
  return std::min(static_cast<size_t>(threads.size()), 1 + work / per_thread);
}

/// Calls body(item, worker) for all items, in order as workers become free.
template <class Body>
void for_items(ThreadPool& threads, size_t workers, size_t count, const Body& body) {
  std::atomic<size_t> next{0};
  threads.parallel_for(workers, 1, [&](size_t begin, size_t end) {
    for (size_t worker = begin; worker < end; ++worker)
      for (size_t i; (i = next.fetch_add(1)) < count;) body(i, worker);
  });
}

/// Maxima, sums and values of some rows: what a kernel leaves.
struct Partial {
  float *maxima, *sums, *values;
  static size_t floats(size_t rows, size_t lanes) { return divide_up(rows * (lanes + 2), 16) * 16; }
  Partial(float* memory, size_t rows, size_t lanes) : maxima(memory + rows * lanes), sums(maxima + rows), values(memory) {}
};

/// Query tokens [token, token + tokens) of a span, for one key head, over keys [key_begin, key_end).
struct Item {
  size_t span, head, token, tokens, key_begin, key_end;
  size_t partial;  // where its result waits for merging, in floats; kNone: it is all there is
  static constexpr size_t kNone = ~size_t{0};
  size_t work() const { return tokens * (key_end - key_begin); }
};

/// Results of `parts` neighbouring items to merge.
struct Merge {
  size_t span, head, partial, parts;
};

/// One call of attend().
class Attending {
 public:
  Attending(const AttentionKernels& kernels, const KvCache& cache, const AttentionParameters& parameters,
            std::span<const AttentionSpan> spans, RowsView queries, float* out, size_t out_stride)
      : kernels_(kernels),
        cache_(cache),
        parameters_(parameters),
        spans_(spans),
        queries_(queries),
        out_(out),
        out_stride_(out_stride),
        layer_(cache.layers()[parameters.layer]),
        layout_(cache.layout(parameters.layer)),
        group_(parameters.heads / layer_.heads) {}

  void run(ThreadPool& threads) {
    find_blocks();
    size_t tile = tile_tokens(static_cast<size_t>(threads.size()));
    for (size_t s = 0; s < spans_.size(); ++s) spans_[s].count <= kSplitTokens ? split_keys(s) : split_tokens(s, tile);
    std::stable_sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) { return a.work() > b.work(); });
    attend(threads, std::max(tile, kSplitTokens));
    for_items(threads, std::min(workers_, std::max<size_t>(merges_.size(), 1)), merges_.size(),
              [&](size_t i, size_t) { merge(merges_[i]); });
  }

 private:
  size_t position(size_t span) const { return cache_.length(spans_[span].sequence); }
  size_t rows(size_t tokens) const { return tokens * group_; }
  size_t partial_floats(size_t tokens) const { return Partial::floats(rows(tokens), layout_.value_lanes); }

  void find_blocks() {
    for (const AttentionSpan& span : spans_) {
      first_block_.push_back(blocks_.size());
      auto table = cache_.blocks(span.sequence);
      for (size_t head = 0; head < layer_.heads; ++head)
        for (uint32_t block : table) blocks_.push_back(cache_.part(block, parameters_.layer, head));
    }
  }

  /// Query tokens of a tile: smaller ones where otherwise threads would be idle.
  size_t tile_tokens(size_t threads) const {
    size_t rows = std::min(kTileRows, kTileFloats / (layout_.key_dim + layout_.value_lanes));
    size_t tokens = 0;
    for (const AttentionSpan& span : spans_) tokens += span.count;
    while (rows > kLeastTileRows && tokens * group_ / rows * layer_.heads < kItemsPerThread * threads) rows /= 2;
    return std::max<size_t>(1, rows / group_);
  }

  /// Where the keys that a token sees begin, in whole blocks.
  size_t first_key(size_t position) const {
    size_t window = parameters_.window;
    return window == 0 || position < window ? 0 : (position + 1 - window) / kKvBlock * kKvBlock;
  }

  void split_keys(size_t span) {
    size_t tokens = spans_[span].count, begin = first_key(position(span)), end = position(span) + tokens;
    if (tokens == 0) return;
    size_t parts = divide_up(end, kPartition) - begin / kPartition;
    for (size_t head = 0; head < layer_.heads; ++head) {
      if (parts > 1) merges_.push_back({span, head, partials_, parts});
      for (size_t first = begin / kPartition * kPartition; first < end; first += kPartition) {
        items_.push_back(
            {span, head, 0, tokens, std::max(begin, first), std::min(end, first + kPartition), parts > 1 ? partials_ : Item::kNone});
        if (parts > 1) partials_ += partial_floats(tokens);
      }
    }
  }

  void split_tokens(size_t span, size_t tile) {
    for (size_t head = 0; head < layer_.heads; ++head)
      for (size_t token = 0; token < spans_[span].count; token += tile) {
        size_t tokens = std::min(tile, spans_[span].count - token), first = position(span) + token;
        items_.push_back({span, head, token, tokens, first_key(first), first + tokens, Item::kNone});
      }
  }

  void attend(ThreadPool& threads, size_t most_tokens) {
    size_t work = 0;
    for (const Item& item : items_) work += item.work() * group_ * (layout_.key_dim + layout_.value_dim);
    workers_ = std::min(useful_threads(threads, work, kWorkPerThread), std::max<size_t>(items_.size(), 1));
    size_t result = partial_floats(most_tokens) * sizeof(float);
    size_t each = divide_up(attention_scratch_bytes(layout_, rows(most_tokens)) + result, kAlignment) * kAlignment;
    AlignedBytes scratch = aligned_bytes(workers_ * each);
    partial_memory_ = aligned_bytes(partials_ * sizeof(float));
    for_items(threads, workers_, items_.size(), [&](size_t i, size_t worker) {
      std::byte* memory = scratch.get() + worker * each;
      run_item(items_[i], reinterpret_cast<float*>(memory), memory + result);
    });
  }

  float* partials() const { return reinterpret_cast<float*>(partial_memory_.get()); }

  void run_item(const Item& item, float* result, std::byte* scratch) const {
    const AttentionSpan& span = spans_[item.span];
    bool last = item.partial == Item::kNone;
    Partial partial(last ? result : partials() + item.partial, rows(item.tokens), layout_.value_lanes);
    AttentionTask task;
    task.layout = &layout_;
    task.blocks = blocks_.data() + first_block_[item.span] + item.head * cache_.blocks(span.sequence).size();
    task.key_begin = item.key_begin;
    task.key_end = item.key_end;
    task.tokens = item.tokens;
    task.heads = group_;
    task.position = position(item.span) + item.token;
    task.queries = queries_.row(span.first_row + item.token) + item.head * group_ * layout_.key_dim;
    task.query_stride = queries_.stride;
    task.scale = parameters_.scale;
    task.softcap = parameters_.softcap;
    task.window = parameters_.window;
    task.slopes = parameters_.slopes.empty() ? nullptr : parameters_.slopes.data() + item.head * group_;
    task.slope_unit = parameters_.slope_unit;
    task.maxima = partial.maxima;
    task.sums = partial.sums;
    task.values = partial.values;
    task.scratch = scratch;
    (rows(span.count) <= kFewRows ? kernels_.few : kernels_.many)(task);
    if (last) finish(item.span, item.head, item.token, item.tokens, result, 1);
  }

  void merge(const Merge& merge) const {
    finish(merge.span, merge.head, 0, spans_[merge.span].count, partials() + merge.partial, merge.parts);
  }

  /// Writes the result of rows whose keys were attended to in `parts` parts, one behind the other in memory.
  void finish(size_t span, size_t head, size_t token, size_t tokens, float* memory, size_t parts) const {
    for (size_t row = 0; row < rows(tokens); ++row) {
      size_t query_head = head * group_ + row % group_;
      finish_row(memory, row, tokens, parts, query_head,
                 out_ + (spans_[span].first_row + token + row / group_) * out_stride_ + query_head * layout_.value_dim);
    }
  }

  void finish_row(float* memory, size_t row, size_t tokens, size_t parts, size_t query_head, float* out) const {
    auto part = [&](size_t i) { return Partial(memory + i * partial_floats(tokens), rows(tokens), layout_.value_lanes); };
    bool has_sink = !parameters_.sinks.empty();
    float sink = has_sink ? parameters_.sinks[query_head] * kLog2E : 0, maximum = has_sink ? sink : part(0).maxima[row];
    for (size_t i = 0; i < parts; ++i) maximum = std::max(maximum, part(i).maxima[row]);
    float total = has_sink ? std::exp2(sink - maximum) : 0;
    for (size_t i = 0; i < parts; ++i) total += part(i).sums[row] * std::exp2(part(i).maxima[row] - maximum);
    for (size_t i = 0; i < parts; ++i) {
      const float* values = part(i).values + row * layout_.value_lanes;
      float weight = std::exp2(part(i).maxima[row] - maximum) / total;
      for (size_t d = 0; d < layout_.value_dim; ++d) out[d] = (i == 0 ? 0 : out[d]) + values[d] * weight;
    }
  }

  const AttentionKernels& kernels_;
  const KvCache& cache_;
  const AttentionParameters& parameters_;
  std::span<const AttentionSpan> spans_;
  RowsView queries_;
  float* out_;
  size_t out_stride_;
  const KvLayer& layer_;
  const KvLayout& layout_;
  size_t group_;
  size_t workers_ = 1;
  std::vector<const std::byte*> blocks_;  // of all spans: [key head][block]
  std::vector<size_t> first_block_;       // of each span, in blocks_
  std::vector<Item> items_;
  std::vector<Merge> merges_;
  size_t partials_ = 0;  // floats
  AlignedBytes partial_memory_;
};

void check_spans(const KvCache& cache, size_t layer, std::span<const AttentionSpan> spans) {
  if (layer >= cache.layers().size() || cache.layers()[layer].heads == 0)
    fail(ErrorKind::invalid_argument, "attention: layer {} has no keys; the cache has {} layers", layer, cache.layers().size());
  for (const AttentionSpan& span : spans)
    if (span.count > cache.prepared(span.sequence))
      fail(ErrorKind::invalid_argument, "attention: {} new tokens of sequence {}, {} were prepared", span.count, span.sequence,
           cache.prepared(span.sequence));
}

void check_parameters(const KvCache& cache, const AttentionParameters& parameters) {
  size_t heads = parameters.heads, key_heads = cache.layers()[parameters.layer].heads;
  if (heads == 0 || heads % key_heads != 0)
    fail(ErrorKind::invalid_argument, "attention: {} query heads are no multiple of {} key heads", heads, key_heads);
  if ((!parameters.slopes.empty() && parameters.slopes.size() != heads) || (!parameters.sinks.empty() && parameters.sinks.size() != heads))
    fail(ErrorKind::invalid_argument, "attention: {} slopes and {} sinks for {} heads", parameters.slopes.size(), parameters.sinks.size(),
         heads);
}

/// Tokens of one span that go to one block of one head.
struct BlockWrite {
  const AttentionSpan* span;
  size_t head, begin, end;  // positions in the sequence
};

std::vector<BlockWrite> block_writes(const KvCache& cache, size_t heads, std::span<const AttentionSpan> spans) {
  std::vector<BlockWrite> writes;
  for (const AttentionSpan& span : spans) {
    size_t end = cache.length(span.sequence) + span.count;
    for (size_t head = 0; head < heads; ++head)
      for (size_t begin = end - span.count, next; begin < end; begin = next) {
        next = std::min(end, begin / kKvBlock * kKvBlock + kKvBlock);
        writes.push_back({&span, head, begin, next});
      }
  }
  return writes;
}

}  // namespace

PagedAttention::PagedAttention(Isa isa, bool use_bf16) : kernels_(&attention_kernels(isa, use_bf16)) {}

void PagedAttention::write(KvCache& cache, size_t layer, std::span<const AttentionSpan> spans, RowsView keys, RowsView values,
                           ThreadPool& threads) const {
  check_spans(cache, layer, spans);
  const KvLayout& layout = cache.layout(layer);
  std::vector<BlockWrite> writes = block_writes(cache, cache.layers()[layer].heads, spans);
  size_t work = 0;
  for (const BlockWrite& write : writes) work += (write.end - write.begin) * (layout.key_dim + layout.value_dim);
  for_items(threads, useful_threads(threads, work, kWritesPerThread), writes.size(), [&](size_t i, size_t) {
    const auto& [span, head, begin, end] = writes[i];
    size_t row = span->first_row + begin - cache.length(span->sequence);
    std::byte* block = cache.part(cache.blocks(span->sequence)[begin / kKvBlock], layer, head);
    for (size_t position = begin; position < end; ++position, ++row)
      kv_write(layout, block, position % kKvBlock, keys.row(row) + head * layout.key_dim, values.row(row) + head * layout.value_dim);
  });
}

void PagedAttention::attend(const KvCache& cache, const AttentionParameters& parameters, std::span<const AttentionSpan> spans,
                            RowsView queries, float* out, size_t out_stride, ThreadPool& threads) const {
  check_spans(cache, parameters.layer, spans);
  check_parameters(cache, parameters);
  Attending(*kernels_, cache, parameters, spans, queries, out, out_stride).run(threads);
}

}  // namespace nibble::cpu
