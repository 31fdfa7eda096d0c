#include "compress/lora_correction.hpp"

#include <algorithm>
#include <cmath>

#include "base/vector_clones.hpp"
#include "compress/principal_directions.hpp"
#include "compress/tile_estimator.hpp"

namespace nibble {

namespace {

constexpr size_t kRowsPerTask = 64;
constexpr size_t kColumnsPerTask = 256;
constexpr double kNoPivot = 1e-12;     // of the largest: below, a direction does not exist
constexpr double kSampleRidge = 1e-7;  // keeps least squares of few samples solvable

/// sum of row[i] * v[i]
NIBBLE_VECTOR_CLONES double dot(const float* row, const double* v, size_t n) {
  double parts[16] = {};
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (size_t k = 0; k < 16; ++k) parts[k] += static_cast<double>(row[i + k]) * v[i + k];
  for (; i < n; ++i) parts[0] += static_cast<double>(row[i]) * v[i];
  for (size_t k = 1; k < 16; ++k) parts[0] += parts[k];
  return parts[0];
}

/// out[i] += factor * row[i]
NIBBLE_VECTOR_CLONES void add_row(const float* row, double factor, double* out, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] += factor * static_cast<double>(row[i]);
}

/// Several columns of doubles, each by itself: [count][length].
using Columns = std::vector<std::vector<double>>;

Columns zeros(size_t count, size_t length) { return Columns(count, std::vector<double>(length, 0.0)); }

/// A matrix of floats with the two products that all of this consists of.
struct Matrix {
  size_t rows, columns;
  std::vector<float> values;

  const float* row(size_t i) const { return values.data() + i * columns; }

  /// [count][rows]: this times each column.
  Columns times(const Columns& v, ThreadPool& threads) const {
    Columns out = zeros(v.size(), rows);
    threads.parallel_for(rows, kRowsPerTask, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        for (size_t j = 0; j < v.size(); ++j) out[j][i] = dot(row(i), v[j].data(), columns);
    });
    return out;
  }

  /// [count][columns]: the transposed of this times each column.
  Columns transposed_times(const Columns& v, ThreadPool& threads) const {
    Columns out = zeros(v.size(), columns);
    threads.parallel_for(columns, kColumnsPerTask, [&](size_t begin, size_t end) {
      for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < v.size(); ++j) add_row(row(i) + begin, v[j][i], out[j].data() + begin, end - begin);
    });
    return out;
  }
};

double inner(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// a^T b of columns.
Columns gram(const Columns& a, const Columns& b) {
  Columns out = zeros(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j) out[i][j] = inner(a[i], b[j]);
  return out;
}

/// Solves S x = y for symmetric positive semidefinite S and every y: columns y[.][i], i = one system. Directions that S lacks get 0.
void solve(Columns s, Columns& y) {
  size_t n = s.size();
  double largest = 0;
  for (size_t i = 0; i < n; ++i) largest = std::max(largest, s[i][i]);
  std::vector<bool> lacking(n, false);
  for (size_t k = 0; k < n; ++k) {  // S = L D L^T in place
    lacking[k] = s[k][k] <= kNoPivot * largest;
    for (size_t i = k + 1; i < n; ++i) {
      double factor = lacking[k] ? 0.0 : s[i][k] / s[k][k];
      for (size_t j = k + 1; j <= i; ++j) s[i][j] -= factor * s[j][k];
      for (size_t c = 0; c < y[i].size(); ++c) y[i][c] -= factor * y[k][c];
    }
  }
  for (size_t k = n; k-- > 0;)
    for (size_t c = 0; c < y[k].size(); ++c) {
      double value = lacking[k] ? 0.0 : y[k][c];
      for (size_t i = k + 1; i < n; ++i) value -= lacking[k] ? 0.0 : s[i][k] * y[i][c];
      y[k][c] = lacking[k] ? 0.0 : value / s[k][k];
    }
}

/// What quantization takes away, [rows, columns].
Matrix residual(const ConstantValue& weight, const MatrixLayout& layout, const QuantizeRule& rule, const GroupScales* given,
                ThreadPool& threads) {
  Matrix out{layout.rows, layout.columns, std::vector<float>(layout.rows * layout.columns)};
  TileRule tile_of = tile_rule(rule);
  size_t size = rule.group_size, groups = layout.columns / size, step = rows_at_once(weight, layout);
  auto quantize_tile = [&](const MatrixRows& rows, size_t row, size_t g, std::vector<float>& tile, std::vector<float>& targets) {
    float scales[kTileRows], zero_points[kTileRows];
    rows.read_tile(row, g * size, size, tile.data());
    tile_kernels().fit(tile.data(), size, tile_of, scales, zero_points);
    size_t count = std::min(kTileRows, rows.end() - row);
    for (size_t k = 0; given && k < count; ++k) {
      size_t group = layout.group(0, row + k, g, groups);
      scales[k] = given->scales[group];
      if (!given->zero_points.empty()) zero_points[k] = static_cast<float>(given->zero_points[group]);
    }
    tile_kernels().encode(tile.data(), size, tile_of, scales, zero_points, targets.data());
    tile_kernels().residual(tile.data(), targets.data(), size, scales, nullptr, targets.data());
    for (float& value : targets) value = -value;
    scatter_tile(targets.data(), count, size, out.values.data() + row * layout.columns + g * size, layout.columns);
  };
  for (size_t begin = 0; begin < layout.rows; begin += step) {
    MatrixRows rows(weight, layout, 0, begin, std::min(begin + step, layout.rows));
    threads.parallel_for((rows.end() - begin + kTileRows - 1) / kTileRows, 1, [&](size_t first, size_t last) {
      std::vector<float> tile(size * kTileRows), targets(size * kTileRows);
      for (size_t i = first; i < last; ++i)
        for (size_t g = 0; g < groups; ++g) quantize_tile(rows, begin + i * kTileRows, g, tile, targets);
    });
  }
  return out;
}

/// How much each column counts: its activity, 1 for the most active one of its group.
std::vector<double> column_weights(std::span<const float> activity, size_t group_size, bool grouped) {
  std::vector<double> weights(activity.size(), 1.0);
  if (!grouped) return weights;
  for (size_t g = 0; g + group_size <= activity.size(); g += group_size) {
    float most = *std::max_element(activity.begin() + static_cast<std::ptrdiff_t>(g),
                                   activity.begin() + static_cast<std::ptrdiff_t>(g + group_size));
    for (size_t c = g; most > 0 && c < g + group_size; ++c) weights[c] = static_cast<double>(activity[c] / most);
  }
  return weights;
}

/// The refinement: `u` [rank][columns] and `v` [rank][rows] whose product approximates the transposed residual.
class Refinement {
 public:
  Refinement(const Matrix& residual, Matrix samples, bool regularized, ThreadPool& threads)
      : residual_(residual), samples_(std::move(samples)), regularized_(regularized), threads_(threads) {}

  /// Least squares for v: samples * u * v = samples * residual and, regularized, u * v = residual.
  Columns find_v(const Columns& u) const {
    Columns sampled = samples_.times(u, threads_);
    Columns left = samples_.transposed_times(sampled, threads_);
    for (size_t j = 0; regularized_ && j < u.size(); ++j)
      for (size_t i = 0; i < u[j].size(); ++i) left[j][i] += u[j][i];
    Columns v = residual_.times(left, threads_);
    solve(gram(u, left), v);
    return v;
  }

  /// Least squares for u with v's pseudo-inverse. Regularized, both systems agree on u = residual * v^-1.
  Columns find_u(const Columns& v) const {
    Columns inverse = v;
    solve(gram(v, v), inverse);
    Columns u = residual_.transposed_times(inverse, threads_);
    return regularized_ ? u : projected(u);
  }

 private:
  /// The shortest solution of samples * x = samples * u.
  Columns projected(const Columns& u) const {
    Columns rows;
    for (size_t i = 0; i < samples_.rows; ++i) rows.emplace_back(samples_.row(i), samples_.row(i) + samples_.columns);
    Columns system = gram(rows, rows), sampled = samples_.times(u, threads_);
    double trace = 0;
    for (size_t i = 0; i < rows.size(); ++i) trace += system[i][i];
    for (size_t i = 0; i < rows.size(); ++i) system[i][i] += kSampleRidge * trace / static_cast<double>(rows.size());
    Columns right = zeros(rows.size(), u.size());  // one row per sample
    for (size_t j = 0; j < u.size(); ++j)
      for (size_t i = 0; i < rows.size(); ++i) right[i][j] = sampled[j][i];
    solve(system, right);
    for (size_t j = 0; j < u.size(); ++j)
      for (size_t i = 0; i < rows.size(); ++i) sampled[j][i] = right[i][j];
    return samples_.transposed_times(sampled, threads_);
  }

  const Matrix& residual_;
  Matrix samples_;
  bool regularized_;
  ThreadPool& threads_;
};

/// Directions of the columns in which the weighted residual is largest.
Columns first_u(const Matrix& residual, const std::vector<double>& weights, size_t rank, ThreadPool& threads) {
  auto product = [&](std::span<const double> v, std::span<double> out) {
    Columns scaled = zeros(1, v.size());
    for (size_t i = 0; i < v.size(); ++i) scaled[0][i] = weights[i] * v[i];
    Columns image = residual.transposed_times(residual.times(scaled, threads), threads);
    for (size_t i = 0; i < v.size(); ++i) out[i] = weights[i] * image[0][i];
  };
  return principal_directions(product, residual.columns, rank);
}

Matrix sample_rows(const SampleMeans& means) {
  Matrix samples{means.samples, means.columns, std::vector<float>(means.values.size())};
  for (size_t c = 0; c < means.columns; ++c)
    for (size_t j = 0; j < means.samples; ++j) samples.values[j * means.columns + c] = means.values[c * means.samples + j];
  return samples;
}

}  // namespace

LoraAdapters lora_adapters(const ConstantValue& weight, const MatrixLayout& layout, const QuantizeRule& rule, const GroupScales* given,
                           const ActivationStatistics& inputs, bool grouped, const LoraCorrectionParameters& parameters,
                           ThreadPool& threads) {
  auto rank = static_cast<size_t>(parameters.adapter_rank);
  Matrix error = residual(weight, layout, rule, given, threads);
  Columns u = first_u(error, column_weights(inputs.largest(0), rule.group_size, grouped), rank, threads);
  Refinement refinement(error, sample_rows(inputs.subset(0, static_cast<size_t>(parameters.subset_size))), parameters.apply_regularization,
                        threads);
  Columns v = refinement.find_v(u);
  for (int64_t i = 0; i < parameters.num_iterations; ++i) {
    if (i > 0) v = refinement.find_v(u);
    u = refinement.find_u(v);
  }
  // Directions that do not exist stay zero.
  LoraAdapters adapters{Tensor(ElementType::f32, {parameters.adapter_rank, static_cast<int64_t>(layout.columns)}),
                        Tensor(ElementType::f32, {static_cast<int64_t>(layout.rows), parameters.adapter_rank})};
  auto a = adapters.a.as_mutable<float>(), b = adapters.b.as_mutable<float>();
  for (size_t j = 0; j < u.size(); ++j) {
    for (size_t c = 0; c < layout.columns; ++c) a[j * layout.columns + c] = static_cast<float>(u[j][c]);
    for (size_t r = 0; r < layout.rows; ++r) b[r * rank + j] = static_cast<float>(v[j][r]);
  }
  return adapters;
}

}  // namespace nibble
