#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "base/fail.hpp"
#include "device/model_runner.hpp"

namespace nibble {

namespace {

class StatefulRunner : public ModelRunner {
 public:
  explicit StatefulRunner(std::shared_ptr<const CompiledModel> model) : model_(std::move(model)) {
    if (!model_->has_input("input_ids") || !model_->has_input("beam_idx"))
      fail(ErrorKind::unsupported, "this is not a stateful language model: it lacks the inputs input_ids and beam_idx");
  }

  std::string_view device_name() const override { return model_->device_name(); }

  Tensor forward(std::span<const TokenSpan> batch) override {
    for (const TokenSpan& span : batch) check(span);
    std::vector<Tensor> rows;
    try {
      for (const TokenSpan& span : batch) rows.push_back(run(span));
    } catch (const Error& error) {
      if (rows.empty()) throw;
      fail(error.kind(), "{}; the sequences of this batch must be released", error.what());
    }
    return stack(rows);
  }

  void release(SequenceId sequence) override { sequences_.erase(sequence); }

 private:
  struct Sequence {
    std::unique_ptr<InferRequest> request;
    int64_t length = 0;
  };

  /// Graphs convert ids to 32 bits before they look them up, so larger ones would wrap around to some other token.
  static void check(const TokenSpan& span) {
    if (span.tokens.empty()) fail(ErrorKind::invalid_argument, "a model cannot run on no tokens: give it a prompt of at least one");
    for (int64_t id : span.tokens)
      if (id < 0 || id > std::numeric_limits<int32_t>::max()) fail(ErrorKind::invalid_argument, "{} is not a token id", id);
  }

  Tensor run(const TokenSpan& span) {
    Sequence& sequence = sequences_[span.sequence];
    if (!sequence.request) sequence.request = model_->create_request();
    auto fresh = static_cast<int64_t>(span.tokens.size());
    set_inputs(*sequence.request, span.tokens, sequence.length);
    sequence.request->infer();
    sequence.length += fresh;
    Tensor logits = sequence.request->output("logits");
    int64_t vocab = logits.shape().back();
    logits = logits.reshaped({fresh, vocab});
    return span.all_logits ? logits : last_row(logits);
  }

  void set_inputs(InferRequest& request, std::span<const int64_t> tokens, int64_t past) const {
    auto fresh = static_cast<int64_t>(tokens.size());
    std::vector<int64_t> mask(static_cast<size_t>(past + fresh), 1), positions(tokens.size());
    std::iota(positions.begin(), positions.end(), past);
    request.set_input("input_ids", Tensor::from<int64_t>({1, fresh}, tokens));
    request.set_input("beam_idx", Tensor::from<int32_t>({1}, std::array<int32_t, 1>{0}));
    if (model_->has_input("attention_mask")) request.set_input("attention_mask", Tensor::from<int64_t>({1, past + fresh}, mask));
    if (model_->has_input("position_ids")) request.set_input("position_ids", Tensor::from<int64_t>({1, fresh}, positions));
  }

  static Tensor last_row(const Tensor& logits) {
    auto values = logits.as<float>().last(static_cast<size_t>(logits.shape()[1]));
    return Tensor::from<float>({1, logits.shape()[1]}, values);
  }

  static Tensor stack(const std::vector<Tensor>& parts) {
    if (parts.size() == 1) return parts[0];
    int64_t rows = 0, vocab = parts.empty() ? 0 : parts[0].shape()[1];
    for (const Tensor& part : parts) rows += part.shape()[0];
    Tensor out(ElementType::f32, {rows, vocab});
    std::byte* at = out.mutable_data();
    for (const Tensor& part : parts) at = std::copy(part.bytes().begin(), part.bytes().end(), at);
    return out;
  }

  std::shared_ptr<const CompiledModel> model_;
  std::unordered_map<SequenceId, Sequence> sequences_;
};

}  // namespace

void ModelRunner::fork(SequenceId, SequenceId) {
  fail(ErrorKind::unsupported, "the device {} cannot copy a sequence's keys and values", device_name());
}

std::unique_ptr<ModelRunner> make_runner(std::shared_ptr<const CompiledModel> model) {
  if (auto runner = model->create_runner()) return runner;
  return make_stateful_runner(std::move(model));
}

std::unique_ptr<ModelRunner> make_stateful_runner(std::shared_ptr<const CompiledModel> model) {
  return std::make_unique<StatefulRunner>(std::move(model));
}

}  // namespace nibble
