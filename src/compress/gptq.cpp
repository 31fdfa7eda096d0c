#include "compress/gptq.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "compress/matrix_product.hpp"
#include "compress/triangular_factor.hpp"

namespace nibble {

namespace {

/// NNCF's GPTQ takes scale estimation with the defaults of the class, not those of its parameters.
constexpr ScaleEstimationParameters kEstimation{.subset_size = 32, .initial_steps = 5, .scale_steps = 10};

/// Makes the Hessian invertible; returns the columns without inputs, but none when all are: a layer that was never reached says nothing of
/// its columns.
std::vector<size_t> damp(std::vector<float>& hessian, size_t columns, double damp_percent) {
  std::vector<size_t> dead;
  double sum = 0;
  for (size_t c = 0; c < columns; ++c) {
    float& value = hessian[c * columns + c];
    if (value == 0.0f) value = 1.0f, dead.push_back(c);
    sum += static_cast<double>(value);
  }
  auto extra = static_cast<float>(damp_percent * sum / static_cast<double>(columns));
  for (size_t c = 0; c < columns; ++c) hessian[c * columns + c] += extra;
  if (dead.size() == columns) dead.clear();
  return dead;
}

class GptqSolver {
 public:
  GptqSolver(std::vector<float>& weight, size_t rows, const std::vector<float>& inverse, size_t columns, const QuantizeRule& rule,
             ThreadPool& threads)
      : weight_(weight), inverse_(inverse), rows_(rows), columns_(columns), rule_(tile_rule(rule)), threads_(threads) {
    group_size_ = rule.group_size;
    padded_ = (rows + kTileRows - 1) / kTileRows * kTileRows;
    scales_.resize(columns / group_size_ * padded_);
    zero_points_.resize(scales_.size());
  }

  void estimate_with(SampleMeans means, std::span<const float> importance) {
    means_ = std::move(means);
    importance_ = importance;
  }

  void run(size_t block_size);
  GptqMatrix result();

 private:
  void quantize_rows(size_t row, size_t begin, size_t end, std::vector<float>& errors);
  void fit_groups(size_t row, size_t begin, size_t end);

  std::vector<float>& weight_;
  const std::vector<float>& inverse_;
  size_t rows_, columns_, padded_, group_size_;
  TileRule rule_;
  ThreadPool& threads_;
  std::vector<float> scales_, zero_points_;  // [groups, padded rows]
  SampleMeans means_;
  std::span<const float> importance_;
};

/// Scales of the groups that start in the block, from the weights as they are before it.
void GptqSolver::fit_groups(size_t row, size_t begin, size_t end) {
  std::vector<float> tile(group_size_ * kTileRows);
  for (size_t g = (begin + group_size_ - 1) / group_size_; g * group_size_ < end; ++g) {
    float* scales = scales_.data() + g * padded_ + row;
    float* zero_points = zero_points_.data() + g * padded_ + row;
    gather_tile(weight_.data() + row * columns_ + g * group_size_, columns_, rows_ - row, group_size_, tile.data());
    if (means_.samples == 0) {
      tile_kernels().fit(tile.data(), group_size_, rule_, scales, zero_points);
      continue;
    }
    TileInputs inputs{means_.values.data() + g * group_size_ * means_.samples, means_.samples, means_.samples,
                      importance_.subspan(g * group_size_, group_size_)};
    TileEstimator(rule_, kEstimation, group_size_, means_.samples).run(tile.data(), inputs, scales, zero_points);
  }
}

/// Quantizes columns [begin, end) of 16 rows.
void GptqSolver::quantize_rows(size_t row, size_t begin, size_t end, std::vector<float>& errors) {
  size_t count = end - begin, rows = std::min(kTileRows, rows_ - row);
  fit_groups(row, begin, end);
  std::vector<float> tile(count * kTileRows), tile_errors(tile.size());
  float* first = weight_.data() + row * columns_ + begin;
  gather_tile(first, columns_, rows, count, tile.data());
  tile_kernels().gptq(tile.data(), count, rule_, inverse_.data() + begin * columns_ + begin, columns_, scales_.data() + row,
                      zero_points_.data() + row, padded_, begin, group_size_, tile_errors.data());
  scatter_tile(tile.data(), rows, count, first, columns_);
  scatter_tile(tile_errors.data(), rows, count, errors.data() + row * count, count);
}

void GptqSolver::run(size_t block_size) {
  std::vector<float> errors;
  for (size_t begin = 0; begin < columns_; begin += block_size) {
    size_t end = std::min(begin + block_size, columns_), count = end - begin;
    errors.resize(rows_ * count);
    threads_.parallel_for(padded_ / kTileRows, 1, [&](size_t first, size_t last) {
      for (size_t i = first; i < last; ++i) quantize_rows(i * kTileRows, begin, end, errors);
    });
    if (end == columns_) break;
    MatrixView after{inverse_.data() + begin * columns_ + end, count, columns_ - end, columns_};
    multiply_add({errors.data(), rows_, count, count}, after, -1, weight_.data() + end, columns_, threads_);
  }
}

GptqMatrix GptqSolver::result() {
  GptqMatrix matrix{.values = std::move(weight_), .scales = {}, .zero_points = {}};
  size_t groups = columns_ / group_size_;
  for (size_t row = 0; row < rows_; ++row)
    for (size_t g = 0; g < groups; ++g) {
      matrix.scales.push_back(scales_[g * padded_ + row]);
      matrix.zero_points.push_back(zero_points_[g * padded_ + row]);
    }
  return matrix;
}

}  // namespace

GptqMatrix gptq(std::vector<float> weight, size_t rows, std::vector<float> hessian, const QuantizeRule& rule,
                const GptqParameters& parameters, const ActivationStatistics* means, size_t matrix, const std::string& layer,
                ThreadPool& threads) {
  size_t columns = weight.size() / rows;
  for (size_t c : damp(hessian, columns, parameters.damp_percent))
    for (size_t row = 0; row < rows; ++row) weight[row * columns + c] = 0.0f;
  if (!factorize_inverse(hessian, columns, threads))
    fail(ErrorKind::invalid_argument,
         "GPTQ of layer '{}': its inputs' Hessian is singular; give more calibration samples or a damp_percent above {}", layer,
         parameters.damp_percent);
  GptqSolver solver(weight, rows, hessian, columns, rule, threads);
  if (means && weight_format(rule.mode).family != QuantizerFamily::levels)
    solver.estimate_with(means->subset(matrix, static_cast<size_t>(kEstimation.subset_size)), means->largest(matrix));
  solver.run(static_cast<size_t>(parameters.block_size));
  return solver.result();
}

}  // namespace nibble
