#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.hpp"
#include "compress/calibration.hpp"
#include "compress/compression_mode.hpp"

namespace nibble {

/// Columns [columns, samples] of averages, row-major.
struct SampleMeans {
  size_t columns = 0, samples = 0;
  std::vector<float> values;
};

/// What the data-aware methods know of a layer's input: per sample the mean over its tokens, of every column (and, for stacked experts, of
/// every expert's matrix). Not thread-safe while it is scaled or thinned out.
class ActivationStatistics {
 public:
  /// `means` holds [matrices * columns] floats for each sample, `tokens` how many tokens each had.
  ActivationStatistics(size_t matrices, size_t columns, std::vector<std::vector<float>> means, std::vector<size_t> tokens);

  size_t matrices() const { return matrices_; }
  size_t columns() const { return columns_; }
  size_t samples() const { return tokens_.size(); }
  /// Largest magnitude of each column's means over all samples: [columns]. A matrix beyond matrices() takes the last one.
  std::span<const float> largest(size_t matrix) const;
  /// About `size` samples, those with many tokens first, as NNCF picks them (process_stats); all where there are no more.
  SampleMeans subset(size_t matrix, size_t size) const;
  /// Multiplies every column, of all matrices when there are only `columns` factors.
  void scale(std::span<const float> factors);
  /// Forgets the samples that none of the subsets of these sizes has.
  void keep(std::span<const size_t> sizes);

 private:
  std::vector<size_t> chosen(size_t size) const;

  size_t matrices_, columns_;
  std::vector<float> largest_;
  std::vector<std::vector<float>> means_;
  std::vector<size_t> tokens_;
};

/// Reads the first `limit` samples. `stacked`: the first of three axes numbers experts, which get means of their own. Samples without
/// tokens (of an expert that they do not reach) are passed over; where there are no others, the layer counts as never active. Throws
/// Error{corrupt} for inputs that are no f32 [.., tokens, columns], have other columns than the first, or values that are not finite,
/// {invalid_argument} when there are no samples; `layer` is for messages.
std::unique_ptr<ActivationStatistics> collect_means(const LayerInputs& inputs, size_t limit, bool stacked, const std::string& layer,
                                                    ThreadPool& threads);

/// The activations' part of a layer's sensitivity: NNCF's criteria of that name, averaged over the first `limit` samples.
double activation_sensitivity(const LayerInputs& inputs, size_t limit, SensitivityMetric metric, const std::string& layer,
                              ThreadPool& threads);

}  // namespace nibble
