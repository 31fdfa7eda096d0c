#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace nibble {

/// Counts weighted values between two bounds in even bins; what k-means over millions of values is made on. Histograms of the same bounds
/// can be added. Not thread-safe.
class WeightedHistogram {
 public:
  WeightedHistogram(float low, float high, size_t bins);

  void add(float value, float weight);
  void add(const WeightedHistogram& other);

  /// The bins that are not empty.
  struct Bins {
    std::vector<float> centers;
    std::vector<double> sums;     ///< of values times weights
    std::vector<double> weights;  ///< of weights
  };
  /// As NNCF's histogram of sorted values has them: the last value before a bound belongs beyond it when it lies closer to the next value's
  /// side.
  Bins bins() const;

 private:
  struct Bin {
    double sum = 0, weight = 0;
    size_t count = 0;
    float lowest = 0, highest = 0, highest_weight = 0;
  };
  size_t bin_of(float value) const;

  float low_, step_;
  std::vector<float> centers_, bounds_;
  std::vector<Bin> bins_;
};

/// Centres of `count` clusters of the histogram at every fifth step of k-means and at the end: NNCF's KMeansWeighted. The lowest and the
/// highest centre stay at `low` and `high`, and one stays at 0 when `low` is not positive.
std::vector<std::vector<float>> cluster(const WeightedHistogram::Bins& bins, float low, float high, size_t count);

}  // namespace nibble
