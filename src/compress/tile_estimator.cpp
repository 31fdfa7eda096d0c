#include "compress/tile_estimator.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace nibble {

namespace {

constexpr float kEpsilon = 0x1p-23f;
constexpr double kScaleStep = 0.05;

}  // namespace

TileRule tile_rule(const QuantizeRule& rule) {
  const WeightFormat& format = weight_format(rule.mode);
  TileRule tile{.family = format.family};
  auto half = static_cast<float>(1 << (format.bits - 1));
  tile.range = format.family == QuantizerFamily::asymmetric ? 2 * half - 1 : half;
  if (!rule.levels) return tile;
  tile.range = rule.levels->largest;
  tile.thresholds = rule.levels->thresholds.data();
  tile.levels = rule.levels->levels.data();
  tile.level_count = rule.levels->levels.size();
  return tile;
}

void row_sums(const TileKernels& kernels, const float* values, size_t columns, float* sums) {
  if (columns <= kLaneSumTerms) return kernels.lane_sum(values, columns, sums);
  size_t half = columns / 2 / 8 * 8;
  std::array<float, kTileRows> rest;
  row_sums(kernels, values, half, sums);
  row_sums(kernels, values + half * kTileRows, columns - half, rest.data());
  for (size_t k = 0; k < kTileRows; ++k) sums[k] += rest[k];
}

TileEstimator::TileEstimator(const TileRule& rule, const ScaleEstimationParameters& parameters, size_t columns, size_t samples,
                             const TileKernels& kernels)
    : rule_(rule), parameters_(parameters), columns_(columns), kernels_(&kernels) {
  targets_.resize(columns * kTileRows);
  importance_.resize(columns * kTileRows);
  terms_.resize(columns * kTileRows);
  outputs_.resize(samples * kTileRows);
}

/// Of each row's columns, those that became 0 have none; the others add up to 1.
void TileEstimator::set_importance(const TileInputs& inputs) {
  kernels_->importance(targets_.data(), columns_, inputs.importance.data(), importance_.data());
  Row sums;
  row_sums(*kernels_, importance_.data(), columns_, sums);
  for (size_t c = 0; c < columns_; ++c)
    for (size_t k = 0; k < kTileRows; ++k) importance_[c * kTileRows + k] /= sums[k] + kEpsilon;
}

/// The scales that would suit the targets best.
void TileEstimator::estimate(const float* tile, const float* first_scales, float* candidates) {
  kernels_->scale_terms(tile, targets_.data(), importance_.data(), columns_, terms_.data());
  row_sums(*kernels_, terms_.data(), columns_, candidates);
  for (size_t k = 0; k < kTileRows; ++k) candidates[k] = std::copysign(candidates[k], first_scales[k]);
}

/// Mean over the samples of the squared error of each row's output; sets the targets to the scales'.
void TileEstimator::measure(const float* tile, const TileInputs& inputs, const float* scales, const float* zero_points, float* errors) {
  kernels_->encode(tile, columns_, rule_, scales, zero_points, targets_.data());
  kernels_->residual(tile, targets_.data(), columns_, scales, nullptr, terms_.data());
  kernels_->product(terms_.data(), columns_, inputs.means, inputs.samples, inputs.stride, false, outputs_.data());
  kernels_->square(outputs_.data(), inputs.samples, outputs_.data());
  row_sums(*kernels_, outputs_.data(), inputs.samples, errors);
  for (size_t k = 0; k < kTileRows; ++k) errors[k] /= static_cast<float>(inputs.samples);
  if (parameters_.weight_penalty <= 0) return;
  Row own;
  kernels_->square(terms_.data(), columns_, terms_.data());
  row_sums(*kernels_, terms_.data(), columns_, own);
  for (size_t k = 0; k < kTileRows; ++k)
    errors[k] += static_cast<float>(parameters_.weight_penalty) * (own[k] / static_cast<float>(columns_));
}

/// An estimate of 0 comes from inputs that were never active: no reason to lose the weights.
void TileEstimator::accept(const float* candidates, const float* errors, float* scales) {
  for (size_t k = 0; k < kTileRows; ++k) {
    if (errors[k] > best_errors_[k] || candidates[k] == 0.0f || !std::isfinite(errors[k])) continue;
    best_errors_[k] = errors[k];
    scales[k] = candidates[k];
  }
}

void TileEstimator::run(const float* tile, const TileInputs& inputs, float* scales, float* zero_points) {
  Row first, start, candidates, errors;
  kernels_->fit(tile, columns_, rule_, first, zero_points);
  measure(tile, inputs, first, zero_points, best_errors_);
  set_importance(inputs);
  std::copy_n(first, kTileRows, scales);
  for (int64_t i = 0; i < parameters_.initial_steps; ++i) {
    estimate(tile, first, candidates);
    // Zero candidates would divide by zero; they are not accepted anyway.
    for (size_t k = 0; k < kTileRows; ++k) start[k] = candidates[k] == 0.0f ? first[k] : candidates[k];
    measure(tile, inputs, start, zero_points, errors);
    accept(candidates, errors, scales);
    kernels_->encode(tile, columns_, rule_, scales, zero_points, targets_.data());
  }
  for (int64_t i = 0; i < parameters_.scale_steps; ++i) {
    auto factor = static_cast<float>(1.0 - kScaleStep * static_cast<double>(i));
    for (size_t k = 0; k < kTileRows; ++k) start[k] = factor * first[k];
    kernels_->encode(tile, columns_, rule_, start, zero_points, targets_.data());
    estimate(tile, first, candidates);
    for (size_t k = 0; k < kTileRows; ++k) start[k] = candidates[k] == 0.0f ? first[k] : candidates[k];
    measure(tile, inputs, start, zero_points, errors);
    accept(candidates, errors, scales);
  }
}

}  // namespace nibble
