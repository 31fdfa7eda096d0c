#include <algorithm>
#include <unordered_map>

#include "base/fail.hpp"
#include "device/cpu/cpu_model.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

// Tokens that go through the plan at once: enough to make the most of the arithmetic, few enough for activations to stay small.
constexpr size_t kPassRows = 1024;

constexpr int64_t kLastToken = 1 << 24;  // slots hold ids as floats, which have all integers up to here

/// A part of a span that goes through the plan in one pass.
struct Piece {
  size_t span;   // index in the batch
  size_t begin;  // token of the span
  size_t count;
};

class PagedRunner : public ModelRunner {
 public:
  explicit PagedRunner(std::shared_ptr<const PagedModel> model)
      : model_(std::move(model)),
        cache_(plan().kv_layers, plan().precision.kv),
        conv_states_(plan().conv_layers),
        execution_(plan(), *model_->threads) {}

  std::string_view device_name() const override { return "CPU"; }

  Tensor forward(std::span<const TokenSpan> batch) override {
    size_t rows = 0;
    for (const TokenSpan& span : batch) {
      check(span);
      rows += span.all_logits ? span.tokens.size() : 1;
    }
    Tensor logits(ElementType::f32, {static_cast<int64_t>(rows), static_cast<int64_t>(plan().vocabulary)});
    std::vector<size_t> lengths = lengths_before(batch);
    std::vector<std::vector<float>> states;
    if (!conv_states_.empty())
      for (const TokenSpan& span : batch) states.push_back(conv_states_.snapshot(span.sequence));
    try {
      for (size_t i = 0; i < batch.size(); ++i)
        cache_.prepare(batch[i].sequence, lengths[i] + batch[i].tokens.size() - cache_.length(batch[i].sequence));
      run(batch, lengths, logits);
    } catch (...) {
      for (size_t i = 0; i < batch.size(); ++i) restore(batch[i].sequence, lengths[i]);
      for (size_t i = 0; i < states.size(); ++i) conv_states_.restore(batch[i].sequence, std::move(states[i]));
      throw;
    }
    return logits;
  }

  void release(SequenceId sequence) override {
    cache_.release(sequence);
    conv_states_.release(sequence);
  }
  void fork(SequenceId from, SequenceId to) override {
    cache_.fork(from, to);
    conv_states_.fork(from, to);
  }

 private:
  const Plan& plan() const { return model_->lowered->plan; }

  static void check(const TokenSpan& span) {
    if (span.tokens.empty()) fail(ErrorKind::invalid_argument, "a model cannot run on no tokens: give it a prompt of at least one");
    for (int64_t id : span.tokens)
      if (id < 0 || id > kLastToken) fail(ErrorKind::invalid_argument, "{} is not a token id", id);
  }

  /// Tokens that each span follows: those of the cache and of earlier spans of its sequence.
  std::vector<size_t> lengths_before(std::span<const TokenSpan> batch) const {
    std::unordered_map<SequenceId, size_t> ends;
    std::vector<size_t> lengths;
    for (const TokenSpan& span : batch) {
      size_t& end = ends.try_emplace(span.sequence, cache_.length(span.sequence)).first->second;
      lengths.push_back(end);
      end += span.tokens.size();
    }
    return lengths;
  }

  void restore(SequenceId sequence, size_t length) {
    if (length == 0)
      cache_.release(sequence);
    else
      cache_.truncate(sequence, length);
  }

  void run(std::span<const TokenSpan> batch, std::span<const size_t> lengths, Tensor& logits) {
    std::vector<std::vector<Tensor>> positional;
    for (size_t i = 0; i < batch.size(); ++i) positional.push_back(positional_values(batch[i], lengths[i]));
    std::vector<size_t> first_logits{0};
    for (const TokenSpan& span : batch) first_logits.push_back(first_logits.back() + (span.all_logits ? span.tokens.size() : 1));
    for (const auto& pieces : passes(batch)) run_pass(batch, pieces, positional, first_logits, logits);
  }

  std::vector<Tensor> positional_values(const TokenSpan& span, size_t past) const {
    std::vector<Value> values;
    for (const PositionalSlot& slot : model_->lowered->positional_slots) values.push_back(slot.value);
    if (values.empty()) return {};
    TokenWindow window{static_cast<int64_t>(span.tokens.size()), static_cast<int64_t>(past)};
    std::vector<Tensor> tensors = model_->lowered->positional->evaluate(values, window);
    for (Tensor& tensor : tensors)
      if (tensor.type() != ElementType::f32) tensor = convert(tensor, ElementType::f32);
    return tensors;
  }

  static bool has_sequence(std::span<const TokenSpan> batch, const std::vector<Piece>& pieces, SequenceId sequence) {
    return std::any_of(pieces.begin(), pieces.end(), [&](const Piece& piece) { return batch[piece.span].sequence == sequence; });
  }

  /// Spans are cut where they themselves say, so what is in a piece does not depend on the other spans. A pass has one piece of a sequence.
  static std::vector<std::vector<Piece>> passes(std::span<const TokenSpan> batch) {
    std::vector<std::vector<Piece>> all;
    size_t rows = kPassRows;
    for (size_t s = 0; s < batch.size(); ++s)
      for (size_t begin = 0; begin < batch[s].tokens.size(); begin += kPassRows) {
        size_t count = std::min(kPassRows, batch[s].tokens.size() - begin);
        if (rows + count > kPassRows || has_sequence(batch, all.back(), batch[s].sequence)) {
          all.emplace_back();
          rows = 0;
        }
        all.back().push_back({s, begin, count});
        rows += count;
      }
    return all;
  }

  void run_pass(std::span<const TokenSpan> batch, const std::vector<Piece>& pieces, const std::vector<std::vector<Tensor>>& positional,
                const std::vector<size_t>& first_logits, Tensor& logits) {
    std::vector<AttentionSpan> spans;
    std::vector<int64_t> tokens;
    std::vector<size_t> destinations;  // rows of `logits`
    execution_.wanted_rows.clear();
    for (const Piece& piece : pieces) {
      const TokenSpan& span = batch[piece.span];
      spans.push_back({span.sequence, tokens.size(), piece.count});
      for (size_t i = piece.begin; i < piece.begin + piece.count; ++i) {
        bool is_last = i + 1 == span.tokens.size();
        if (span.all_logits || is_last) {
          execution_.wanted_rows.push_back(tokens.size());
          destinations.push_back(first_logits[piece.span] + (span.all_logits ? i : 0));
        }
        tokens.push_back(span.tokens[i]);
      }
    }
    execution_.start(tokens.size());
    execution_.spans = spans;
    execution_.cache = &cache_;
    execution_.conv_states = &conv_states_;
    place_tokens(tokens);
    place_positional(pieces, positional);
    plan().run(execution_);
    for (size_t i = 0; i < destinations.size(); ++i)
      std::copy_n(execution_.row(plan().logits, i), plan().vocabulary,
                  logits.as_mutable<float>().data() + destinations[i] * plan().vocabulary);
    for (const Piece& piece : pieces) cache_.commit(batch[piece.span].sequence, piece.count);
  }

  void place_tokens(std::span<const int64_t> tokens) {
    const auto& slots = plan().slots;
    for (size_t s = 0; s < slots.size(); ++s)
      if (slots[s].kind == Slot::Kind::token_ids)
        for (size_t r = 0; r < tokens.size(); ++r) *execution_.row({s, 0, 1}, r) = static_cast<float>(tokens[r]);
  }

  void place_positional(const std::vector<Piece>& pieces, const std::vector<std::vector<Tensor>>& positional) {
    const auto& slots = model_->lowered->positional_slots;
    for (size_t s = 0; s < slots.size(); ++s) {
      size_t row = 0;
      for (const Piece& piece : pieces) {
        auto values = positional[piece.span][s].as<float>();
        for (size_t i = 0; i < piece.count; ++i)
          std::copy_n(values.data() + (piece.begin + i) * slots[s].view.width, slots[s].view.width, execution_.row(slots[s].view, row++));
      }
    }
  }

  std::shared_ptr<const PagedModel> model_;
  KvCache cache_;
  ConvStates conv_states_;
  Execution execution_;
};

}  // namespace

std::unique_ptr<ModelRunner> make_paged_runner(std::shared_ptr<const PagedModel> model) {
  return std::make_unique<PagedRunner>(std::move(model));
}

}  // namespace nibble::cpu
