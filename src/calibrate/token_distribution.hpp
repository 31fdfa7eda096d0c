#pragma once

#include "base/thread_pool.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// Logarithms of the probabilities of tokens from logits of any float type [.., places, vocabulary], as f32.
Tensor log_probabilities(const Tensor& logits, ThreadPool& threads);

/// What one distribution of tokens says of another, over places.
struct DistributionDistance {
  double kl_sum = 0;              ///< KL(reference || model), nats
  size_t places = 0, agreed = 0;  ///< all, and those with the same most probable token
};

/// `reference` are logarithms of probabilities, `logits` of the model as above. Throws Error{invalid_argument} for different vocabularies.
DistributionDistance distance(const Tensor& reference, const Tensor& logits, ThreadPool& threads);

}  // namespace nibble
