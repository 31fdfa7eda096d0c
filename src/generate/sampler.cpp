#include "generate/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace nibble {

namespace {

float log_sum_exp(std::span<const float> logits) {
  float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float v : logits) sum += std::exp(static_cast<double>(v - best));
  return best + static_cast<float>(std::log(sum));
}

bool limits_top_k(const GenerationConfig& config, size_t vocab) { return config.top_k > 0 && config.top_k < vocab; }

void normalize(std::vector<float>& values) {
  double sum = std::accumulate(values.begin(), values.end(), 0.0);
  for (float& v : values) v = static_cast<float>(v / sum);
}

/// How many of the sorted probabilities min_p and top_p keep; at least one.
size_t kept_count(const std::vector<float>& sorted, const GenerationConfig& config) {
  size_t count = sorted.size();
  if (config.min_p > 0) {
    float threshold = config.min_p * sorted[0];
    count =
        static_cast<size_t>(std::partition_point(sorted.begin(), sorted.end(), [&](float p) { return p >= threshold; }) - sorted.begin());
  }
  if (config.top_p < 1) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) {
      sum += sorted[i];
      if (sum > config.top_p) return i + 1;
    }
  }
  return std::max<size_t>(count, 1);
}

}  // namespace

Candidates sampling_candidates(std::span<const float> logits, const GenerationConfig& config) {
  Candidates candidates;
  candidates.ids.resize(logits.size());
  std::iota(candidates.ids.begin(), candidates.ids.end(), 0);
  auto better = [&](int64_t a, int64_t b) {
    float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  size_t count = limits_top_k(config, logits.size()) ? config.top_k : logits.size();
  std::partial_sort(candidates.ids.begin(), candidates.ids.begin() + static_cast<std::ptrdiff_t>(count), candidates.ids.end(), better);
  candidates.ids.resize(count);

  float best = logits[static_cast<size_t>(candidates.ids[0])];
  for (int64_t id : candidates.ids)
    candidates.probabilities.push_back(std::exp((logits[static_cast<size_t>(id)] - best) / config.temperature));
  normalize(candidates.probabilities);
  size_t kept = kept_count(candidates.probabilities, config);
  candidates.ids.resize(kept);
  candidates.probabilities.resize(kept);
  normalize(candidates.probabilities);
  return candidates;
}

Sampler::Sampler(const GenerationConfig& config, std::span<const int64_t> prompt, size_t sequence)
    : config_(config), random_(static_cast<std::mt19937::result_type>(config.rng_seed + sequence)) {
  for (int64_t id : prompt)
    if (is_seen_.emplace(id, true).second) seen_.push_back(id);
}

void Sampler::forbid_stop_tokens(std::span<float> logits) const {
  if (generated_count_ >= config_.min_new_tokens) return;
  auto forbid = [&](int64_t id) {
    if (id >= 0 && static_cast<size_t>(id) < logits.size()) logits[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
  };
  for (int64_t id : config_.stop_token_ids) forbid(id);
  for (int64_t id : config_.eos_token_ids) forbid(id);
}

void Sampler::apply_penalties(std::span<float> logits) const {
  if (config_.repetition_penalty != 1.0f)
    for (int64_t id : seen_) {
      if (id < 0 || static_cast<size_t>(id) >= logits.size()) continue;
      float& v = logits[static_cast<size_t>(id)];
      v = v >= 0 ? v / config_.repetition_penalty : v * config_.repetition_penalty;
    }
  // GenAI moves a logit towards zero for a positive penalty: down where it is positive, up where it is negative.
  auto penalize = [](float& v, float penalty) { v = v >= 0 ? v - penalty : v + penalty; };
  if (config_.presence_penalty != 0)
    for (const auto& [id, count] : generated_) penalize(logits[static_cast<size_t>(id)], config_.presence_penalty);
  if (config_.frequency_penalty != 0)
    for (const auto& [id, count] : generated_)
      penalize(logits[static_cast<size_t>(id)], config_.frequency_penalty * static_cast<float>(count));
}

SampledToken Sampler::pick_greedy(std::span<const float> logits) const {
  return {std::max_element(logits.begin(), logits.end()) - logits.begin(), 0.0f};
}

SampledToken Sampler::draw(std::span<const float> logits) {
  Candidates candidates = sampling_candidates(logits, config_);
  double target = std::generate_canonical<double, 32>(random_), sum = 0;
  size_t chosen = candidates.ids.size() - 1;
  for (size_t i = 0; i < candidates.ids.size(); ++i) {
    sum += candidates.probabilities[i];
    if (target < sum) {
      chosen = i;
      break;
    }
  }
  return {candidates.ids[chosen], std::log(candidates.probabilities[chosen])};
}

SampledToken Sampler::sample(std::span<float> logits) {
  std::vector<float> raw;
  if (config_.logprobs > 0) raw.assign(logits.begin(), logits.end());
  forbid_stop_tokens(logits);
  apply_penalties(logits);
  SampledToken token = config_.do_sample ? draw(logits) : pick_greedy(logits);
  if (!raw.empty()) token.log_probability = raw[static_cast<size_t>(token.id)] - log_sum_exp(raw);
  ++generated_count_;
  ++generated_[token.id];
  if (is_seen_.emplace(token.id, true).second) seen_.push_back(token.id);
  return token;
}

}  // namespace nibble
