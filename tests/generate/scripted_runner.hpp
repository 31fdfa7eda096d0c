#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "device/model_runner.hpp"
#include "nibble/error.hpp"

namespace nibble::test {

/// A model that says what it was told to: for each sequence a list of tokens, whatever it is given. Keeps a record of its calls.
class ScriptedRunner : public ModelRunner {
 public:
  using Batch = std::vector<std::pair<SequenceId, std::vector<int64_t>>>;
  static constexpr int64_t kVocab = 16;

  /// The scripts of sequences 1, 2, ...; their last tokens are repeated.
  explicit ScriptedRunner(std::vector<std::vector<int64_t>> scripts) : scripts_(std::move(scripts)) {}

  std::string_view device_name() const override { return "SCRIPT"; }

  Tensor forward(std::span<const TokenSpan> batch) override {
    if (fail_at == batches.size()) throw Error(ErrorKind::device, "the script says: fail");
    Tensor logits(ElementType::f32, {static_cast<int64_t>(batch.size()), kVocab});
    auto values = logits.as_mutable<float>();
    std::fill(values.begin(), values.end(), 0.0f);
    Batch record;
    for (size_t row = 0; row < batch.size(); ++row) {
      record.emplace_back(batch[row].sequence, std::vector<int64_t>(batch[row].tokens.begin(), batch[row].tokens.end()));
      values[row * kVocab + static_cast<size_t>(next_token(batch[row].sequence))] = 5;
    }
    batches.push_back(std::move(record));
    return logits;
  }

  void release(SequenceId sequence) override { ++released[sequence]; }

  std::vector<Batch> batches;
  std::map<SequenceId, int> released;  ///< calls by sequence
  std::optional<size_t> fail_at;       ///< number of the call that fails, from 0

 private:
  int64_t next_token(SequenceId sequence) {
    const auto& script = scripts_.at(sequence - 1);
    return script[std::min(steps_[sequence]++, script.size() - 1)];
  }

  std::vector<std::vector<int64_t>> scripts_;
  std::map<SequenceId, size_t> steps_;
};

}  // namespace nibble::test
