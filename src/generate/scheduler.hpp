#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "device/model_runner.hpp"
#include "generate/sampler.hpp"
#include "generate/text_stream.hpp"

namespace nibble {

/// Why a sequence ended; "running" while it has not.
enum class SequenceState { running, stopped, too_long };

/// An answer that is being generated.
struct Sequence {
  using Clock = std::chrono::steady_clock;

  Sequence(SequenceId id, const GenerationConfig& config, std::vector<int64_t> prompt, size_t index, const Tokenizer* tokenizer);

  SequenceId id;
  const GenerationConfig& config;
  std::vector<int64_t> prompt, generated;
  Sampler sampler;
  std::optional<TextStream> text;  ///< where there is a tokenizer and someone needs text before the end
  SequenceState state = SequenceState::running;
  float score = 0;
  std::vector<Clock::time_point> token_times;
};

/// Durations of the parts of the steps so far, in milliseconds.
struct StepTimes {
  double inference_ms = 0, sampling_ms = 0;
};

/// Continuous batching, the only generation loop: every step runs all sequences that are not done, prompts and single
/// tokens together, through the runner. Not thread-safe.
class Scheduler {
 public:
  explicit Scheduler(ModelRunner& runner) : runner_(runner) {}
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// `config` must outlive the sequence. `max_tokens`: new tokens at most, whatever the config says.
  Sequence& add(const GenerationConfig& config, std::vector<int64_t> prompt, size_t index, const Tokenizer* tokenizer, size_t max_tokens);
  bool has_work() const { return !running_.empty(); }
  /// One token for every running sequence; returns those that got one.
  std::vector<Sequence*> step();
  /// Ends a sequence now.
  void stop(Sequence& sequence, SequenceState state = SequenceState::stopped);
  const StepTimes& times() const { return times_; }

 private:
  struct Entry {
    std::unique_ptr<Sequence> sequence;
    size_t max_tokens;
  };
  void append(Entry& entry, std::span<float> logits, Sequence::Clock::time_point now);
  SequenceState next_state(const Entry& entry) const;
  void retire();

  ModelRunner& runner_;
  std::list<Entry> entries_;
  std::vector<Entry*> running_;
  SequenceId next_id_ = 1;
  StepTimes times_;
};

}  // namespace nibble
