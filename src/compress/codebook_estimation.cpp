#include "compress/codebook_estimation.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>

#include "compress/tile_estimator.hpp"
#include "compress/weighted_histogram.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr float kEpsilon = 0x1p-23f;
constexpr size_t kBins = 700;

/// Rounded to the type that codebooks are stored in.
std::vector<float> as_f8(std::vector<float> levels) {
  Tensor packed(ElementType::f8e4m3, {static_cast<int64_t>(levels.size())});
  pack_from_float(ElementType::f8e4m3, levels, packed.mutable_data(), 0);
  return to_floats(packed);
}

/// What the search works on: walks over the tiles of all groups, with 16 rows at a time per thread.
class CodebookSearch {
 public:
  CodebookSearch(const ConstantValue& weight, const MatrixLayout& layout, size_t group_size, const ActivationStatistics& inputs,
                 float largest, ThreadPool& threads)
      : weight_(weight), layout_(layout), group_size_(group_size), inputs_(inputs), largest_(largest), threads_(threads) {}

  /// Lowest and highest weight once groups are normalized.
  std::pair<float, float> range() const;
  WeightedHistogram histogram(float low, float high) const;
  /// Mean absolute error of the outputs with these levels.
  double error(const std::vector<float>& levels) const;

 private:
  void for_each_tile(const std::function<void(const MatrixRows&, size_t matrix, size_t row)>& visit) const;
  void normalize(std::vector<float>& tile) const;

  const ConstantValue& weight_;
  const MatrixLayout& layout_;
  size_t group_size_;
  const ActivationStatistics& inputs_;
  float largest_;
  ThreadPool& threads_;
};

void CodebookSearch::for_each_tile(const std::function<void(const MatrixRows&, size_t matrix, size_t row)>& visit) const {
  size_t step = rows_at_once(weight_, layout_);
  for (size_t m = 0; m < layout_.matrices; ++m)
    for (size_t begin = 0; begin < layout_.rows; begin += step) {
      MatrixRows rows(weight_, layout_, m, begin, std::min(begin + step, layout_.rows));
      threads_.parallel_for((rows.end() - begin + kTileRows - 1) / kTileRows, 1, [&](size_t first, size_t last) {
        for (size_t i = first; i < last; ++i) visit(rows, m, begin + i * kTileRows);
      });
    }
}

/// Divides every row by what maps its largest weight to the largest level, sign included.
void CodebookSearch::normalize(std::vector<float>& tile) const {
  for (size_t k = 0; k < kTileRows; ++k) {
    float low = std::numeric_limits<float>::infinity(), high = -low;
    for (size_t c = 0; c < group_size_; ++c) low = std::min(low, tile[c * kTileRows + k]), high = std::max(high, tile[c * kTileRows + k]);
    float scale = (std::fabs(low) >= std::fabs(high) ? low : high) / largest_;
    if (std::fabs(scale) < kEpsilon) scale = kEpsilon;
    for (size_t c = 0; c < group_size_; ++c) tile[c * kTileRows + k] /= scale;
  }
}

std::pair<float, float> CodebookSearch::range() const {
  float low = std::numeric_limits<float>::infinity(), high = -low;
  std::mutex mutex;
  for_each_tile([&](const MatrixRows& rows, size_t, size_t row) {
    std::vector<float> tile(group_size_ * kTileRows);
    size_t count = std::min(kTileRows, rows.end() - row);
    float least = std::numeric_limits<float>::infinity(), most = -least;
    for (size_t column = 0; column < layout_.columns; column += group_size_) {
      rows.read_tile(row, column, group_size_, tile.data());
      normalize(tile);
      for (size_t c = 0; c < group_size_; ++c)
        for (size_t k = 0; k < count; ++k) least = std::min(least, tile[c * kTileRows + k]), most = std::max(most, tile[c * kTileRows + k]);
    }
    std::lock_guard lock(mutex);
    low = std::min(low, least), high = std::max(high, most);
  });
  return {low, high};
}

WeightedHistogram CodebookSearch::histogram(float low, float high) const {
  // One histogram per tile row of a matrix is added in order, so that sums do not depend on threads.
  size_t tiles = (layout_.rows + kTileRows - 1) / kTileRows;
  WeightedHistogram total(low, high, kBins);
  std::mutex mutex;
  std::vector<std::unique_ptr<WeightedHistogram>> parts(layout_.matrices * tiles);
  size_t added = 0;
  for_each_tile([&](const MatrixRows& rows, size_t matrix, size_t row) {
    auto part = std::make_unique<WeightedHistogram>(low, high, kBins);
    std::vector<float> tile(group_size_ * kTileRows);
    auto activity = inputs_.largest(matrix);
    size_t count = std::min(kTileRows, rows.end() - row);
    for (size_t column = 0; column < layout_.columns; column += group_size_) {
      rows.read_tile(row, column, group_size_, tile.data());
      normalize(tile);
      for (size_t c = 0; c < group_size_; ++c)
        for (size_t k = 0; k < count; ++k) part->add(tile[c * kTileRows + k], activity[column + c]);
    }
    std::lock_guard lock(mutex);
    parts[matrix * tiles + row / kTileRows] = std::move(part);
    for (; added < parts.size() && parts[added]; ++added) total.add(*parts[added]), parts[added].reset();
  });
  return total;
}

double CodebookSearch::error(const std::vector<float>& levels) const {
  LevelTable table = level_table(levels);
  QuantizeRule rule{.mode = CompressWeightsMode::adaptive_codebook, .group_size = group_size_, .levels = &table};
  TileRule tile_of = tile_rule(rule);
  size_t tiles = (layout_.rows + kTileRows - 1) / kTileRows;
  std::vector<SampleMeans> means;
  for (size_t m = 0; m < inputs_.matrices(); ++m) means.push_back(inputs_.subset(m, inputs_.samples()));
  std::vector<double> sums(layout_.matrices * tiles, 0.0);
  for_each_tile([&](const MatrixRows& rows, size_t matrix, size_t row) {
    const SampleMeans& x = means[std::min(matrix, means.size() - 1)];
    std::vector<float> tile(group_size_ * kTileRows), targets(tile.size()), outputs(x.samples * kTileRows);
    float scales[kTileRows], zero_points[kTileRows];
    for (size_t column = 0; column < layout_.columns; column += group_size_) {
      rows.read_tile(row, column, group_size_, tile.data());
      tile_kernels().fit(tile.data(), group_size_, tile_of, scales, zero_points);
      tile_kernels().encode(tile.data(), group_size_, tile_of, scales, zero_points, targets.data());
      tile_kernels().residual(tile.data(), targets.data(), group_size_, scales, nullptr, targets.data());
      tile_kernels().product(targets.data(), group_size_, x.values.data() + column * x.samples, x.samples, x.samples, column > 0,
                             outputs.data());
    }
    double& sum = sums[matrix * tiles + row / kTileRows];
    for (float value : outputs) sum += static_cast<double>(std::fabs(value));
  });
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

}  // namespace

Tensor estimate_codebook(const ConstantValue& weight, const MatrixLayout& layout, size_t group_size, const Tensor& first,
                         const ActivationStatistics& inputs, const AdaptiveCodebookParameters& parameters, ThreadPool& threads) {
  std::vector<float> base = to_floats(first);
  auto count = static_cast<size_t>(parameters.num_elements);
  CodebookSearch search(weight, layout, group_size, inputs, level_table(base).largest, threads);
  auto [low, high] = search.range();
  std::vector<std::vector<float>> variants;
  if (low < high) {
    WeightedHistogram::Bins bins = search.histogram(low, high).bins();
    double weighed = 0;
    for (double bin : bins.weights) weighed += bin;
    if (weighed > 0) variants = cluster(bins, low, high, count);
  }
  variants.resize(std::max<size_t>(2, variants.size()));
  if (count == base.size() || variants[0].empty()) variants[0] = base;
  variants[1].clear();
  for (size_t i = 0; i < count; ++i) variants[1].push_back(static_cast<float>(i) - static_cast<float>(count / 2 + count % 2));
  double least = std::numeric_limits<double>::infinity();
  std::vector<float> best;
  for (const auto& variant : variants) {
    std::vector<float> levels = as_f8(variant);
    if (double error = search.error(levels); error < least) least = error, best = levels;
  }
  if (best.empty()) best = as_f8(base);
  Tensor codebook(ElementType::f8e4m3, {static_cast<int64_t>(best.size())});
  pack_from_float(ElementType::f8e4m3, best, codebook.mutable_data(), 0);
  return codebook;
}

}  // namespace nibble
