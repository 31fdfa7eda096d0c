#pragma once

#include <memory>
#include <span>
#include <string>
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

/// Takes what a layer reads, sample by sample, in groups or all at once. Not thread-safe.
class MeansCollector {
 public:
  /// The first `limit` samples count. `stacked`: the first of three axes numbers experts, which get means of their own.
  MeansCollector(size_t limit, bool stacked) : limit_(limit), stacked_(stacked) {}

  /// Throws Error{corrupt} for inputs that are no f32 [.., tokens, columns], have other columns than the first, or values that are not
  /// finite; `layer` is for messages.
  void add(const LayerInputs& inputs, const std::string& layer, ThreadPool& threads);
  /// Samples without tokens (of an expert that they do not reach) are passed over; where there are no others, the layer counts as never
  /// active. Throws Error{invalid_argument} when there were no samples. Only once.
  std::unique_ptr<ActivationStatistics> finish(const std::string& layer);

 private:
  size_t limit_;
  bool stacked_;
  std::vector<std::vector<float>> means_;  // by sample
  std::vector<size_t> tokens_, columns_;
};

/// The activations' part of a layer's sensitivity: NNCF's criteria of that name, averaged over the first `limit` samples.
class SensitivityCollector {
 public:
  SensitivityCollector(size_t limit, SensitivityMetric metric) : limit_(limit), metric_(metric) {}

  /// Throws what MeansCollector::add() throws.
  void add(const LayerInputs& inputs, const std::string& layer, ThreadPool& threads);
  /// Throws Error{invalid_argument} when there were no samples.
  double average(const std::string& layer) const;

 private:
  size_t limit_;
  SensitivityMetric metric_;
  std::vector<double> values_;  // by sample
  std::vector<size_t> tokens_;
};

/// The means of samples that are all there: what a MeansCollector makes of them.
std::unique_ptr<ActivationStatistics> collect_means(const LayerInputs& inputs, size_t limit, bool stacked, const std::string& layer,
                                                    ThreadPool& threads);

}  // namespace nibble
