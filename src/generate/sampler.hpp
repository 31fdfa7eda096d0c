#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

#include "nibble/generation_config.hpp"

namespace nibble {

/// A token drawn from logits.
struct SampledToken {
  int64_t id = 0;
  float log_probability = 0;
};

/// Picks the next tokens of one sequence. Order of the steps, as in OpenVINO GenAI: [log-probabilities of the raw
/// logits] - min_new_tokens - repetition, presence and frequency penalty - greedy choice, or top_k - temperature -
/// softmax - min_p - top_p - draw. Not thread-safe.
class Sampler {
 public:
  /// `sequence` offsets the seed, so that several sequences of one request differ.
  Sampler(const GenerationConfig& config, std::span<const int64_t> prompt, size_t sequence = 0);

  /// `logits` [vocab] is used as scratch memory.
  SampledToken sample(std::span<float> logits);

 private:
  void forbid_stop_tokens(std::span<float> logits) const;
  void apply_penalties(std::span<float> logits) const;
  SampledToken pick_greedy(std::span<const float> logits) const;
  SampledToken draw(std::span<const float> logits);

  const GenerationConfig& config_;
  std::vector<int64_t> seen_;                      // distinct tokens of prompt and answer
  std::unordered_map<int64_t, size_t> generated_;  // token -> count in the answer
  std::unordered_map<int64_t, bool> is_seen_;
  size_t generated_count_ = 0;
  std::mt19937 random_;
};

/// The tokens that may be drawn, most probable first, with probabilities after all filters that sum to 1.
struct Candidates {
  std::vector<int64_t> ids;
  std::vector<float> probabilities;
};
Candidates sampling_candidates(std::span<const float> logits, const GenerationConfig& config);

}  // namespace nibble
