#pragma once

#include <vector>

#include "graph/graph.hpp"
#include "nibble/context.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// A dataset in two parts that share nothing.
struct SplitSamples {
  std::vector<std::vector<int64_t>> chosen_by;  ///< in an order whose every beginning is spread over the dataset
  std::vector<std::vector<int64_t>> held_out;
};

/// Every fourth sample is held out. Of a single sample the second half is. Throws Error{invalid_argument} for less than two tokens.
SplitSamples split_samples(std::vector<std::vector<int64_t>> samples);

/// Bytes of a graph's constants as they are stored.
uint64_t constant_bytes(const Graph& graph);

/// How much a compressed model differs from its source.
struct MeasuredDistance {
  double mean_kl = 0, top1_agreement = 0;
  size_t tokens = 0;
};

/// Measures compressed models against their source on held-out samples, with the default device, in f32. The source runs once, at
/// construction, and only the logarithms of its probabilities are kept: no two models are in memory together. For one thread.
class HeldOutMeter {
 public:
  /// Takes as many of the samples as a few hundred megabytes have room for. Throws Error{exhausted} when the source does not fit in memory.
  HeldOutMeter(const Graph& source, std::vector<std::vector<int64_t>> samples, Context& context);
  MeasuredDistance measure(const Graph& model) const;

 private:
  Context& context_;
  std::vector<std::vector<int64_t>> samples_;
  std::vector<Tensor> expected_;  ///< by sample
};

}  // namespace nibble
