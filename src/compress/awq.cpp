#include "compress/awq.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "compress/tile_estimator.hpp"
#include "tensor/float_types.hpp"

namespace nibble {

namespace {

constexpr float kEpsilon = 0x1p-23f;
constexpr float kLargestScale = 100.0f;
constexpr float kLowQuantile = 0.1f;
constexpr float kOverflow = 0.25f * 65504.0f;  // NNCF's margin to the largest f16
constexpr size_t kColumnsPerTask = 256;

/// numpy.quantile of f32 values, linear between neighbours.
float quantile(std::span<const float> values, float share) {
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  float at = static_cast<float>(sorted.size() - 1) * share;
  auto below = static_cast<size_t>(at);
  float low = sorted[below], high = sorted[std::min(below + 1, sorted.size() - 1)], t = at - static_cast<float>(below);
  return t >= 0.5f ? high - (high - low) * (1 - t) : low + (high - low) * t;
}

/// In several sums side by side: one would wait for each addition.
double sum_of_magnitudes(std::span<const float> values) {
  constexpr size_t kLanes = 16;
  std::array<double, kLanes> sums{};
  size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += static_cast<double>(std::fabs(values[i + lane]));
  for (size_t i = whole; i < values.size(); ++i) sums[0] += static_cast<double>(std::fabs(values[i]));
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// Matrices that get one vector of scales: one, or all.
struct Problem {
  size_t first_matrix, matrices;
  std::span<const float> activity;
  SampleMeans means;
};

/// A group of columns and the scales that are tried on it, in their order.
struct Search {
  size_t first_column = 0;
  std::vector<std::vector<float>> candidates = {};
};

/// What one tile of rows says about one group.
struct TileErrors {
  float largest_output = 0;
  std::vector<double> errors;  ///< sum of absolute output errors of each candidate
};

class AwqSearch {
 public:
  AwqSearch(const ConstantValue& weight, const MatrixLayout& layout, const QuantizeRule& rule, const AwqParameters& parameters,
            const PreviousLayer* previous, ThreadPool& threads)
      : weight_(weight), layout_(layout), parameters_(parameters), previous_(previous), threads_(threads), tile_rule_(tile_rule(rule)) {
    group_size_ = rule.group_size;
  }

  /// Writes the scales of one problem.
  void run(const Problem& problem, std::span<float> scales) const;

 private:
  std::vector<Search> searches(const Problem& problem) const;
  void limit(const Problem& problem, size_t first_column, std::vector<float>& scale) const;
  void measure(const Problem& problem, const std::vector<Search>& searches, std::vector<TileErrors>& totals) const;
  TileErrors measure_tile(const float* tile, const Search& search, const SampleMeans& means) const;

  const ConstantValue& weight_;
  const MatrixLayout& layout_;
  const AwqParameters& parameters_;
  const PreviousLayer* previous_;
  ThreadPool& threads_;
  TileRule tile_rule_;
  size_t group_size_;
};

/// The groups of the most active columns.
std::vector<Search> AwqSearch::searches(const Problem& problem) const {
  std::vector<size_t> order(layout_.columns);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return problem.activity[a] > problem.activity[b]; });
  auto count = std::max<size_t>(1, static_cast<size_t>(static_cast<double>(layout_.columns) * parameters_.percent_to_apply));
  std::set<size_t> groups;
  for (size_t i = 0; i < std::min(count, order.size()); ++i) groups.insert(order[i] / group_size_);
  double step = (parameters_.alpha_max - parameters_.alpha_min) / static_cast<double>(parameters_.steps);
  std::vector<Search> result;
  for (size_t group : groups) {
    Search search{group * group_size_};
    auto activity = problem.activity.subspan(search.first_column, group_size_);
    float low = quantile(activity, kLowQuantile);
    double alpha = parameters_.alpha_min;
    for (int64_t i = 0; i < parameters_.steps; ++i, alpha += step) {
      std::vector<float> scale;
      for (float s : activity) scale.push_back(std::pow(std::min(std::max(s, low), kLargestScale), static_cast<float>(alpha)));
      if (previous_) limit(problem, search.first_column, scale);
      search.candidates.push_back(std::move(scale));
    }
    result.push_back(std::move(search));
  }
  return result;
}

/// Keeps what the previous layer puts out, divided by the scale, within the range of f16.
void AwqSearch::limit(const Problem& problem, size_t first_column, std::vector<float>& scale) const {
  auto width = static_cast<float>(previous_->columns);
  for (size_t c = 0; c < scale.size(); ++c) {
    float mean = 0;
    for (size_t m = 0; m < problem.matrices; ++m)
      mean = std::max(mean, previous_->row_means[(problem.first_matrix + m) * layout_.columns + first_column + c]);
    if ((mean / scale[c]) * previous_->largest_input * width >= kOverflow) scale[c] = mean * previous_->largest_input * width / kOverflow;
  }
}

TileErrors AwqSearch::measure_tile(const float* tile, const Search& search, const SampleMeans& means) const {
  const TileKernels& kernels = tile_kernels();
  size_t columns = group_size_, count = means.samples * kTileRows;
  std::vector<float> scaled(columns * kTileRows), targets(scaled.size()), outputs(count);
  const float* x = means.values.data() + search.first_column * means.samples;
  TileErrors result;
  kernels.product(tile, columns, x, means.samples, means.samples, false, outputs.data());
  for (float value : outputs) result.largest_output = std::max(result.largest_output, std::fabs(value));
  for (const auto& candidate : search.candidates) {
    float scales[kTileRows], zero_points[kTileRows];
    kernels.scale_columns(tile, columns, candidate.data(), scaled.data());
    kernels.fit(scaled.data(), columns, tile_rule_, scales, zero_points);
    kernels.encode(scaled.data(), columns, tile_rule_, scales, zero_points, targets.data());
    kernels.residual(tile, targets.data(), columns, scales, candidate.data(), scaled.data());
    kernels.product(scaled.data(), columns, x, means.samples, means.samples, false, outputs.data());
    result.errors.push_back(sum_of_magnitudes(outputs));
  }
  return result;
}

/// Adds up over all rows; the order of additions does not depend on threads.
void AwqSearch::measure(const Problem& problem, const std::vector<Search>& searches, std::vector<TileErrors>& totals) const {
  size_t step = rows_at_once(weight_, layout_);
  for (size_t m = 0; m < problem.matrices; ++m)
    for (size_t begin = 0; begin < layout_.rows; begin += step) {
      MatrixRows rows(weight_, layout_, problem.first_matrix + m, begin, std::min(begin + step, layout_.rows));
      size_t tiles = (rows.end() - begin + kTileRows - 1) / kTileRows;
      std::vector<TileErrors> parts(tiles * searches.size());
      threads_.parallel_for(parts.size(), 1, [&](size_t first, size_t last) {
        std::vector<float> tile(group_size_ * kTileRows);
        for (size_t i = first; i < last; ++i) {
          const Search& search = searches[i % searches.size()];
          rows.read_tile(begin + i / searches.size() * kTileRows, search.first_column, group_size_, tile.data());
          parts[i] = measure_tile(tile.data(), search, problem.means);
        }
      });
      for (size_t i = 0; i < parts.size(); ++i) {
        TileErrors& total = totals[i % searches.size()];
        total.largest_output = std::max(total.largest_output, parts[i].largest_output);
        total.errors.resize(parts[i].errors.size(), 0.0);
        for (size_t k = 0; k < total.errors.size(); ++k) total.errors[k] += parts[i].errors[k];
      }
    }
}

void AwqSearch::run(const Problem& problem, std::span<float> scales) const {
  std::vector<Search> all = searches(problem);
  std::vector<TileErrors> totals(all.size());
  measure(problem, all, totals);
  auto outputs = static_cast<double>(problem.matrices * layout_.rows * problem.means.samples);
  for (size_t i = 0; i < all.size(); ++i) {
    double least = static_cast<double>(totals[i].largest_output);
    const std::vector<float>* best = nullptr;
    for (size_t k = 0; k < all[i].candidates.size(); ++k)
      if (double error = totals[i].errors[k] / outputs; error < least) least = error, best = &all[i].candidates[k];
    if (best) std::copy(best->begin(), best->end(), scales.begin() + static_cast<std::ptrdiff_t>(all[i].first_column));
  }
}

/// Sums of |weight| over the rows of one matrix, row after row in f32, as numpy adds along an outer axis.
void add_column_magnitudes(const MatrixRows& rows, std::span<float> sums, ThreadPool& threads) {
  threads.parallel_for(sums.size(), kColumnsPerTask, [&](size_t first, size_t last) {
    std::vector<float> values(last - first);
    for (size_t row = rows.begin(); row < rows.end(); ++row) {
      rows.read_row(row, first, values);
      for (size_t c = 0; c < values.size(); ++c) sums[first + c] += std::fabs(values[c]);
    }
  });
}

}  // namespace

std::vector<float> row_magnitudes(const ConstantValue& weight, const MatrixLayout& layout, ThreadPool& threads) {
  std::vector<float> means(layout.matrices * layout.rows);
  size_t step = rows_at_once(weight, layout);
  for (size_t m = 0; m < layout.matrices; ++m)
    for (size_t begin = 0; begin < layout.rows; begin += step) {
      MatrixRows rows(weight, layout, m, begin, std::min(begin + step, layout.rows));
      threads.parallel_for(rows.end() - begin, kTileRows, [&](size_t first, size_t last) {
        std::vector<float> values(layout.columns);
        for (size_t i = first; i < last; ++i) {
          rows.read_row(begin + i, 0, values);
          double sum = 0;
          for (float value : values) sum += static_cast<double>(std::fabs(value));
          auto mean = static_cast<float>(sum / static_cast<double>(layout.columns));
          means[m * layout.rows + begin + i] = weight.type() == ElementType::f16 ? to_float(to_float16(mean)) : mean;
        }
      });
    }
  return means;
}

std::vector<float> awq_scales(const ConstantValue& weight, const MatrixLayout& layout, const QuantizeRule& rule,
                              const ActivationStatistics& inputs, const AwqParameters& parameters, const PreviousLayer* previous,
                              bool shared, ThreadPool& threads) {
  size_t problems = shared ? 1 : layout.matrices;
  std::vector<float> scales(problems * layout.columns, 1.0f);
  AwqSearch search(weight, layout, rule, parameters, previous, threads);
  for (size_t p = 0; p < problems; ++p) {
    Problem problem{p, shared ? layout.matrices : 1, inputs.largest(p), inputs.subset(p, static_cast<size_t>(parameters.subset_size))};
    search.run(problem, std::span(scales).subspan(p * layout.columns, layout.columns));
  }
  return scales;
}

std::vector<float> data_free_awq_scales(const ConstantValue& weight, const MatrixLayout& layout, bool shared, ThreadPool& threads) {
  std::vector<float> scales((shared ? 1 : layout.matrices) * layout.columns, 0.0f);
  size_t step = rows_at_once(weight, layout);
  for (size_t m = 0; m < layout.matrices; ++m)
    for (size_t begin = 0; begin < layout.rows; begin += step) {
      MatrixRows rows(weight, layout, m, begin, std::min(begin + step, layout.rows));
      add_column_magnitudes(rows, std::span(scales).subspan(shared ? 0 : m * layout.columns, layout.columns), threads);
    }
  auto count = static_cast<float>(layout.rows * (shared ? layout.matrices : 1));
  for (float& scale : scales) scale = 1.0f / std::max(scale / count, kEpsilon);
  return scales;
}

}  // namespace nibble
