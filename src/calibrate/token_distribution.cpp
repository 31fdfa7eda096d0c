#include "calibrate/token_distribution.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/fail.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

/// The logarithm of the sum of exponentials.
double log_sum(std::span<const float> logits) {
  double best = *std::max_element(logits.begin(), logits.end()), sum = 0;
  for (float value : logits) sum += std::exp(static_cast<double>(value) - best);
  return best + std::log(sum);
}

size_t vocabulary_of(const Tensor& logits) { return static_cast<size_t>(logits.shape().back()); }

size_t best_of(std::span<const float> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace

Tensor log_probabilities(const Tensor& logits, ThreadPool& threads) {
  Tensor floats = convert(logits, ElementType::f32), out(ElementType::f32, logits.shape());
  size_t vocabulary = vocabulary_of(logits);
  auto from = floats.as<float>();
  auto to = out.as_mutable<float>();
  threads.parallel_for(from.size() / vocabulary, 1, [&](size_t begin, size_t end) {
    for (size_t place = begin; place < end; ++place) {
      auto row = from.subspan(place * vocabulary, vocabulary);
      double sum = log_sum(row);
      for (size_t t = 0; t < vocabulary; ++t) to[place * vocabulary + t] = static_cast<float>(static_cast<double>(row[t]) - sum);
    }
  });
  return out;
}

DistributionDistance distance(const Tensor& reference, const Tensor& logits, ThreadPool& threads) {
  size_t vocabulary = vocabulary_of(reference);
  if (reference.shape() != logits.shape())
    fail(ErrorKind::invalid_argument, "the two models have logits of shapes [{}] and [{}]", fmt::join(reference.shape(), ","),
         fmt::join(logits.shape(), ","));
  Tensor floats = convert(logits, ElementType::f32);
  auto p = reference.as<float>(), q = floats.as<float>();
  size_t places = p.size() / vocabulary;
  std::vector<double> kl(places);
  std::vector<uint8_t> agreed(places);
  threads.parallel_for(places, 1, [&](size_t begin, size_t end) {
    for (size_t place = begin; place < end; ++place) {
      auto expected = p.subspan(place * vocabulary, vocabulary), got = q.subspan(place * vocabulary, vocabulary);
      double sum = log_sum(got);
      for (size_t t = 0; t < vocabulary; ++t) {
        auto log_p = static_cast<double>(expected[t]);
        auto log_q = static_cast<double>(static_cast<float>(static_cast<double>(got[t]) - sum));  // rounded as the reference is
        kl[place] += std::exp(log_p) * (log_p - log_q);
      }
      agreed[place] = best_of(expected) == best_of(got);
    }
  });
  DistributionDistance result{0, places, 0};
  for (size_t place = 0; place < places; ++place) result.kl_sum += kl[place], result.agreed += agreed[place];
  return result;
}

}  // namespace nibble
