#include "compress/activation_statistics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/fail.hpp"

namespace nibble {

namespace {

/// A sample as matrices [tokens, columns].
struct Sample {
  Tensor tensor;
  size_t matrices = 1, tokens = 0, columns = 0;

  const float* matrix(size_t i) const { return tensor.as<float>().data() + i * tokens * columns; }
};

/// Leading axes are matrices of their own where `separate`, else their tokens are taken together.
Sample read_sample(const LayerInputs& inputs, size_t index, bool separate, const std::string& layer) {
  Sample sample{inputs.sample(index)};
  const Shape& shape = sample.tensor.shape();
  if (sample.tensor.type() != ElementType::f32 || shape.size() < 2 || shape.back() <= 0)
    fail(ErrorKind::corrupt, "calibration sample {} gives layer '{}' an input of {} {}: it takes f32 [.., tokens, columns]", index, layer,
         to_string(sample.tensor.type()), to_string(shape));
  sample.columns = static_cast<size_t>(shape.back());
  sample.tokens = sample.tensor.size() / sample.columns;
  if (separate && sample.tokens > 0)
    sample.matrices = sample.tokens / static_cast<size_t>(shape[shape.size() - 2]), sample.tokens /= sample.matrices;
  return sample;
}

void require_finite(double value, size_t index, const std::string& layer) {
  if (!std::isfinite(value))
    fail(ErrorKind::corrupt, "calibration sample {} gives layer '{}' an input that is infinite or not a number", index, layer);
}

/// Token after token, four of them for each time that a sum is read and written.
std::vector<double> column_sums(const Sample& sample, size_t matrix) {
  size_t columns = sample.columns, t = 0;
  std::vector<double> sums(columns, 0.0);
  const float* x = sample.matrix(matrix);
  for (; t + 4 <= sample.tokens; t += 4, x += 4 * columns)
    for (size_t c = 0; c < columns; ++c)
      sums[c] = sums[c] + static_cast<double>(x[c]) + static_cast<double>(x[columns + c]) + static_cast<double>(x[2 * columns + c]) +
                static_cast<double>(x[3 * columns + c]);
  for (; t < sample.tokens; ++t, x += columns)
    for (size_t c = 0; c < columns; ++c) sums[c] += static_cast<double>(x[c]);
  return sums;
}

std::vector<float> token_means(const Sample& sample, size_t index, const std::string& layer) {
  std::vector<float> means;
  for (size_t m = 0; m < sample.matrices; ++m)
    for (double sum : column_sums(sample, m)) {
      require_finite(sum, index, layer);
      means.push_back(static_cast<float>(sum / static_cast<double>(sample.tokens)));
    }
  return means;
}

/// Of every column over the tokens.
std::vector<double> variances(const Sample& sample, size_t matrix) {
  std::vector<double> means = column_sums(sample, matrix), result(sample.columns, 0.0);
  auto tokens = static_cast<double>(sample.tokens);
  for (double& mean : means) mean /= tokens;
  const float* x = sample.matrix(matrix);
  for (size_t t = 0; t < sample.tokens; ++t, x += sample.columns)
    for (size_t c = 0; c < sample.columns; ++c)
      result[c] += (static_cast<double>(x[c]) - means[c]) * (static_cast<double>(x[c]) - means[c]);
  for (double& value : result) value /= tokens;
  return result;
}

std::vector<double> largest_magnitudes(const Sample& sample, size_t matrix) {
  std::vector<double> result(sample.columns, 0.0);
  const float* x = sample.matrix(matrix);
  for (size_t t = 0; t < sample.tokens; ++t, x += sample.columns)
    for (size_t c = 0; c < sample.columns; ++c) {
      double magnitude = static_cast<double>(std::fabs(x[c]));
      if (magnitude > result[c] || std::isnan(magnitude)) result[c] = magnitude;  // what is not a number stays
    }
  return result;
}

double mean_square(const Sample& sample) {
  constexpr size_t kLanes = 16;  // one sum would wait for each addition
  std::array<double, kLanes> sums{};
  auto values = sample.tensor.as<float>();
  size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += static_cast<double>(values[i + lane]) * static_cast<double>(values[i + lane]);
  for (size_t i = whole; i < values.size(); ++i) sums[0] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(values.size());
}

double sample_sensitivity(const Sample& sample, SensitivityMetric metric) {
  if (metric == SensitivityMetric::hessian_input_activation) return 2 * mean_square(sample);
  double sum = 0, largest = 0;
  for (size_t m = 0; m < sample.matrices; ++m)
    for (double value : metric == SensitivityMetric::mean_activation_magnitude ? largest_magnitudes(sample, m) : variances(sample, m))
      sum += value, largest = std::max(largest, value);
  if (!std::isfinite(sum)) return sum;  // which `largest` does not show
  return metric == SensitivityMetric::max_activation_variance ? largest : sum / static_cast<double>(sample.matrices * sample.columns);
}

}  // namespace

ActivationStatistics::ActivationStatistics(size_t matrices, size_t columns, std::vector<std::vector<float>> means,
                                           std::vector<size_t> tokens)
    : matrices_(matrices), columns_(columns), largest_(matrices * columns, 0.0f), means_(std::move(means)), tokens_(std::move(tokens)) {
  for (const auto& sample : means_)
    for (size_t i = 0; i < largest_.size(); ++i) largest_[i] = std::max(largest_[i], std::fabs(sample[i]));
}

std::span<const float> ActivationStatistics::largest(size_t matrix) const {
  return std::span(largest_).subspan(std::min(matrix, matrices_ - 1) * columns_, columns_);
}

std::vector<size_t> ActivationStatistics::chosen(size_t size) const {
  std::vector<size_t> order(samples());
  std::iota(order.begin(), order.end(), size_t{0});
  if (samples() <= size) return order;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tokens_[a] > tokens_[b]; });
  std::vector<size_t> picked;
  for (size_t i = 0; i < order.size(); i += samples() / size) picked.push_back(order[i]);
  return picked;
}

SampleMeans ActivationStatistics::subset(size_t matrix, size_t size) const {
  std::vector<size_t> picked = chosen(size);
  SampleMeans means{columns_, picked.size(), std::vector<float>(columns_ * picked.size())};
  size_t first = std::min(matrix, matrices_ - 1) * columns_;
  for (size_t j = 0; j < picked.size(); ++j)
    for (size_t c = 0; c < columns_; ++c) means.values[c * picked.size() + j] = means_[picked[j]][first + c];
  return means;
}

void ActivationStatistics::scale(std::span<const float> factors) {
  auto apply = [&](std::vector<float>& values) {
    for (size_t i = 0; i < values.size(); ++i) values[i] *= factors[i % factors.size()];
  };
  for (auto& sample : means_) apply(sample);
  apply(largest_);
}

void ActivationStatistics::keep(std::span<const size_t> sizes) {
  std::vector<bool> needed(samples(), false);
  for (size_t size : sizes)
    for (size_t i : chosen(size)) needed[i] = true;
  for (size_t i = 0; i < samples(); ++i)
    if (!needed[i]) means_[i] = {};
}

namespace {

/// Without the samples that had no tokens, which are those of experts that a sample does not reach; zeros when there are no others.
ActivationStatistics active_statistics(std::vector<std::vector<float>> means, std::vector<size_t> tokens,
                                       const std::vector<size_t>& columns, const std::string& layer) {
  std::vector<std::vector<float>> active;
  std::vector<size_t> active_tokens;
  for (size_t i = 0; i < means.size(); ++i) {
    if (columns[i] != columns[0] || (tokens[i] > 0 && !active.empty() && means[i].size() != active[0].size()))
      fail(ErrorKind::corrupt, "calibration sample {} gives layer '{}' {} columns, sample 0 gave {}", i, layer, columns[i], columns[0]);
    if (tokens[i] == 0) continue;
    active.push_back(std::move(means[i]));
    active_tokens.push_back(tokens[i]);
  }
  if (active.empty()) active.emplace_back(columns[0], 0.0f), active_tokens.push_back(0);
  size_t matrices = active[0].size() / columns[0];
  return {matrices, columns[0], std::move(active), std::move(active_tokens)};
}

void require_samples(size_t count, const std::string& layer) {
  if (count == 0) fail(ErrorKind::invalid_argument, "layer '{}' got no calibration samples", layer);
}

}  // namespace

void MeansCollector::add(const LayerInputs& inputs, const std::string& layer, ThreadPool& threads) {
  size_t first = tokens_.size(), count = std::min(limit_ - first, inputs.count());
  means_.resize(first + count);
  tokens_.resize(first + count);
  columns_.resize(first + count);
  threads.parallel_for(count, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      Sample sample = read_sample(inputs, i, stacked_, layer);
      if (sample.tokens > 0) means_[first + i] = token_means(sample, first + i, layer);
      tokens_[first + i] = sample.matrices * sample.tokens, columns_[first + i] = sample.columns;
    }
  });
}

std::unique_ptr<ActivationStatistics> MeansCollector::finish(const std::string& layer) {
  require_samples(tokens_.size(), layer);
  return std::make_unique<ActivationStatistics>(active_statistics(std::move(means_), std::move(tokens_), columns_, layer));
}

void SensitivityCollector::add(const LayerInputs& inputs, const std::string& layer, ThreadPool& threads) {
  size_t first = values_.size(), count = std::min(limit_ - first, inputs.count());
  values_.resize(first + count, 0.0);
  tokens_.resize(first + count, 0);
  threads.parallel_for(count, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      Sample sample = read_sample(inputs, i, true, layer);
      tokens_[first + i] = sample.tokens;
      if (sample.tokens > 0) values_[first + i] = sample_sensitivity(sample, metric_);
      require_finite(values_[first + i], first + i, layer);
    }
  });
}

double SensitivityCollector::average(const std::string& layer) const {
  require_samples(values_.size(), layer);
  auto active = static_cast<double>(std::count_if(tokens_.begin(), tokens_.end(), [](size_t n) { return n > 0; }));
  return std::accumulate(values_.begin(), values_.end(), 0.0) / std::max(active, 1.0);
}

std::unique_ptr<ActivationStatistics> collect_means(const LayerInputs& inputs, size_t limit, bool stacked, const std::string& layer,
                                                    ThreadPool& threads) {
  MeansCollector collector(limit, stacked);
  collector.add(inputs, layer, threads);
  return collector.finish(layer);
}

}  // namespace nibble
