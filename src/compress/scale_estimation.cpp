#include "compress/scale_estimation.hpp"

#include <algorithm>

namespace nibble {

namespace {

/// One matrix of a weight.
struct MatrixTask {
  const MatrixLayout& layout;
  const QuantizeRule& rule;
  const ScaleEstimationParameters& parameters;
  size_t matrix;
  SampleMeans means;
  std::span<const float> importance;
};

/// All groups of 16 rows.
void estimate_rows(const MatrixTask& task, const MatrixRows& rows, size_t row, TileEstimator& estimator, std::vector<float>& tile,
                   GroupScales& out) {
  size_t size = task.rule.group_size, groups = task.layout.columns / size;
  size_t count = std::min(kTileRows, rows.end() - row);
  tile.resize(size * kTileRows);
  for (size_t g = 0; g < groups; ++g) {
    float scales[kTileRows], zero_points[kTileRows];
    rows.read_tile(row, g * size, size, tile.data());
    TileInputs inputs{task.means.values.data() + g * size * task.means.samples, task.means.samples, task.means.samples,
                      task.importance.subspan(g * size, size)};
    estimator.run(tile.data(), inputs, scales, zero_points);
    for (size_t k = 0; k < count; ++k) {
      size_t at = task.layout.group(task.matrix, row + k, g, groups);
      out.scales[at] = scales[k];
      if (!out.zero_points.empty()) out.zero_points[at] = static_cast<uint8_t>(zero_points[k]);
    }
  }
}

}  // namespace

GroupScales estimate_scales(const ConstantValue& weight, const MatrixLayout& layout, const QuantizeRule& rule,
                            const ActivationStatistics& inputs, const ScaleEstimationParameters& parameters, ThreadPool& threads) {
  GroupScales out;
  out.scales.resize(layout.matrices * layout.rows * (layout.columns / rule.group_size));
  if (weight_format(rule.mode).family == QuantizerFamily::asymmetric) out.zero_points.resize(out.scales.size());
  TileRule tile_of = tile_rule(rule);
  size_t step = rows_at_once(weight, layout);
  for (size_t m = 0; m < layout.matrices; ++m) {
    MatrixTask task{layout, rule, parameters, m, inputs.subset(m, static_cast<size_t>(parameters.subset_size)), inputs.largest(m)};
    for (size_t begin = 0; begin < layout.rows; begin += step) {
      MatrixRows rows(weight, layout, m, begin, std::min(begin + step, layout.rows));
      size_t tiles = (rows.end() - begin + kTileRows - 1) / kTileRows;
      threads.parallel_for(tiles, 1, [&](size_t first, size_t last) {
        TileEstimator estimator(tile_of, parameters, rule.group_size, task.means.samples);
        std::vector<float> tile;
        for (size_t i = first; i < last; ++i) estimate_rows(task, rows, begin + i * kTileRows, estimator, tile, out);
      });
    }
  }
  return out;
}

}  // namespace nibble
