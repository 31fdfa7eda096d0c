#include "compress/weighted_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nibble {

namespace {

constexpr size_t kIterations = 70;
constexpr size_t kSavingInterval = 5;
constexpr float kSettled = 0.00001f;
constexpr float kTooClose = 0.05f;

/// The last bin up to which at most `share` of the weight lies.
size_t bin_at(const std::vector<float>& cumulated, double share) {
  auto after = std::upper_bound(cumulated.begin(), cumulated.end(), static_cast<float>(share));
  return after == cumulated.begin() ? 0 : static_cast<size_t>(after - cumulated.begin()) - 1;
}

/// Centres at even shares of the weight.
std::vector<float> first_centers(const WeightedHistogram::Bins& bins, float low, float high, size_t count) {
  // Added up in f32, which decides where a share that is just reached falls.
  auto total = static_cast<float>(std::accumulate(bins.weights.begin(), bins.weights.end(), 0.0));
  double step = 1.0 / static_cast<double>(count - 1);
  std::vector<float> cumulated;
  for (double weight : bins.weights)
    cumulated.push_back(static_cast<float>(weight) / total + (cumulated.empty() ? 0.0f : cumulated.back()));
  std::vector<float> centers(count);
  centers.front() = bins.centers.front();
  centers.back() = bins.centers.back();
  for (size_t i = 1; i + 1 < count; ++i) {
    auto left = static_cast<double>(bins.centers[bin_at(cumulated, static_cast<double>(i) * step)]);
    auto right = static_cast<double>(bins.centers[bin_at(cumulated, static_cast<double>(i + 1) * step)]);
    centers[i] = static_cast<float>((left + right) / 2);
  }
  for (size_t i = 1; i + 1 < count; ++i) {
    float larger = std::max(std::fabs(centers[i]), std::fabs(centers[i + 1]));
    if (std::fabs(centers[i] - centers[i + 1]) / larger < kTooClose) centers[i] = (centers[i - 1] + centers[i + 1]) / 2;
  }
  centers.front() = low;
  centers.back() = high;
  return centers;
}

/// One step of k-means. Bins go to the nearest centre, the lower one on a tie.
void move_centers(const WeightedHistogram::Bins& bins, std::vector<float>& centers) {
  std::vector<double> sums(centers.size(), 0.0), weights(centers.size(), 0.0);
  std::vector<float> middles;
  for (size_t i = 0; i + 1 < centers.size(); ++i) middles.push_back(0.5f * (centers[i] + centers[i + 1]));
  for (size_t b = 0; b < bins.centers.size(); ++b) {
    auto i = static_cast<size_t>(std::lower_bound(middles.begin(), middles.end(), bins.centers[b]) - middles.begin());
    sums[i] += bins.sums[b], weights[i] += bins.weights[b];
  }
  for (size_t i = 0; i < centers.size(); ++i)
    if (weights[i] > 0) centers[i] = static_cast<float>(sums[i] / weights[i]);
}

}  // namespace

WeightedHistogram::WeightedHistogram(float low, float high, size_t bins) {
  double step = (static_cast<double>(high) - static_cast<double>(low)) / static_cast<double>(bins);
  low_ = low, step_ = static_cast<float>(step);
  double last = 0;
  for (auto at = static_cast<double>(low); at < static_cast<double>(high); at += step) {
    double center = at + step / 2;
    if (!centers_.empty()) bounds_.push_back(static_cast<float>(0.5 * (last + center)));
    centers_.push_back(static_cast<float>(center));
    last = center;
  }
  bins_.resize(centers_.size());
}

size_t WeightedHistogram::bin_of(float value) const {
  auto bin = std::min(static_cast<size_t>(std::max((value - low_) / step_, 0.0f)), bounds_.size());
  while (bin > 0 && value < bounds_[bin - 1]) --bin;
  while (bin < bounds_.size() && value >= bounds_[bin]) ++bin;
  return bin;
}

void WeightedHistogram::add(float value, float weight) {
  Bin& bin = bins_[bin_of(value)];
  bin.sum += static_cast<double>(value * weight);
  bin.weight += static_cast<double>(weight);
  if (bin.count == 0 || value < bin.lowest) bin.lowest = value;
  if (bin.count == 0 || value > bin.highest) bin.highest = value, bin.highest_weight = weight;
  ++bin.count;
}

void WeightedHistogram::add(const WeightedHistogram& other) {
  for (size_t i = 0; i < bins_.size(); ++i) {
    Bin& bin = bins_[i];
    const Bin& more = other.bins_[i];
    if (more.count == 0) continue;
    if (bin.count == 0 || more.lowest < bin.lowest) bin.lowest = more.lowest;
    if (bin.count == 0 || more.highest > bin.highest) bin.highest = more.highest, bin.highest_weight = more.highest_weight;
    bin.sum += more.sum, bin.weight += more.weight, bin.count += more.count;
  }
}

WeightedHistogram::Bins WeightedHistogram::bins() const {
  std::vector<Bin> bins = bins_;
  for (size_t i = 0; i + 1 < bins.size(); ++i) {
    auto next = std::find_if(bins.begin() + static_cast<std::ptrdiff_t>(i) + 1, bins.end(), [](const Bin& bin) { return bin.count > 0; });
    if (bins[i].count == 0 || next == bins.end() || 0.5f * (bins[i].highest + next->lowest) < bounds_[i]) continue;
    double moved = static_cast<double>(bins[i].highest_weight);
    bins[i].weight -= moved, bins[i + 1].weight += moved;
    bins[i].sum -= moved * static_cast<double>(bins[i].highest), bins[i + 1].sum += moved * static_cast<double>(bins[i].highest);
    --bins[i].count, ++bins[i + 1].count;
    if (bins[i + 1].count == 1) bins[i + 1].highest = bins[i].highest, bins[i + 1].highest_weight = bins[i].highest_weight;
  }
  Bins result;
  for (size_t i = 0; i < bins.size(); ++i) {
    if (bins[i].count == 0) continue;
    result.centers.push_back(centers_[i]);
    result.sums.push_back(bins[i].sum);
    result.weights.push_back(bins[i].weight);
  }
  return result;
}

std::vector<std::vector<float>> cluster(const WeightedHistogram::Bins& bins, float low, float high, size_t count) {
  std::vector<float> first = first_centers(bins, low, high, count);
  auto smallest = std::min_element(first.begin(), first.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  auto zero = static_cast<size_t>(smallest - first.begin());
  std::vector<size_t> fixed{0, count - 1};
  if (low <= 0) first[zero] = 0.0f, fixed.push_back(zero);
  std::vector<std::vector<float>> stages;
  std::vector<float> centers = first;
  for (size_t i = 0; i < kIterations; ++i) {
    std::vector<float> before = centers;
    if (i % kSavingInterval == 0) stages.push_back(centers);
    move_centers(bins, centers);
    for (size_t f : fixed) centers[f] = first[f];
    bool settled = true;
    for (size_t k = 0; k < count; ++k) settled = settled && std::fabs(centers[k] - before[k]) < kSettled;
    if (settled) break;
  }
  stages.push_back(centers);
  return stages;
}

}  // namespace nibble
