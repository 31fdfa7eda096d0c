#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/device.hpp"

namespace nibble {

/// Names a sequence of tokens whose keys and values a runner keeps.
using SequenceId = uint64_t;

/// New tokens of one sequence: they continue what the runner has seen of it.
struct TokenSpan {
  SequenceId sequence = 0;
  std::span<const int64_t> tokens;
  bool all_logits = false;  ///< a row of logits for every token instead of the last one only
};

/// Runs a language model over batches that mix prompts and single tokens of many sequences. Not thread-safe.
class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  virtual std::string_view device_name() const = 0;
  /// Logits f32 [rows, vocab], rows in the order of the spans. An unknown sequence starts empty. On an Error the sequences
  /// of the batch are as before or, where the message says so, must be released.
  virtual Tensor forward(std::span<const TokenSpan> batch) = 0;
  /// Forgets a sequence; unknown ones are ignored.
  virtual void release(SequenceId sequence) = 0;
  /// Makes `to` (forgotten first) a copy of what the runner has seen of `from`. Throws Error{unsupported} where a runner cannot.
  virtual void fork(SequenceId from, SequenceId to);
};

/// The runner of a compiled language model: the model's own, or one over its requests.
std::unique_ptr<ModelRunner> make_runner(std::shared_ptr<const CompiledModel> model);

/// A runner over any compiled stateful model: one request, and so one KV cache, for each sequence.
std::unique_ptr<ModelRunner> make_stateful_runner(std::shared_ptr<const CompiledModel> model);

}  // namespace nibble
