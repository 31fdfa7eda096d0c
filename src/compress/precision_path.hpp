#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nibble {

/// One way to store a weight: what it takes and what it costs.
struct PrecisionPrice {
  uint64_t bytes = 0;
  double loss = 0;  ///< of the model, by this weight alone
};

/// A step on the way from the smallest model to the best one: `item` changes to the dearer `choice`.
struct PrecisionStep {
  size_t item = 0, choice = 0;
  uint64_t bytes = 0;  ///< that it adds
  double gain = 0;     ///< loss that it takes away
  double gain_per_byte() const { return gain / static_cast<double>(bytes); }
};

/// Which choice each of several items makes, and what that comes to.
struct PrecisionSelection {
  std::vector<size_t> choices;
  uint64_t bytes = 0;
  double loss = 0;
};

/// The multiple-choice knapsack problem of precisions, solved greedily on the convex hulls of the items' choices: each item starts with its
/// smallest choice, and of all steps to the next corner of a hull the one with the largest gain per byte comes first. Ties go to the item
/// with the lower number. Immutable, thread-safe.
class PrecisionPath {
 public:
  /// Each item has at least one choice, in any order.
  explicit PrecisionPath(std::vector<std::vector<PrecisionPrice>> items);

  /// In order of falling gain per byte.
  const std::vector<PrecisionStep>& steps() const { return steps_; }
  /// The smallest choices, then the first `count` steps.
  PrecisionSelection after(size_t count) const;
  /// The steps in order, without those for which there is no room (and those that follow them on the same item). The larger `bytes`, the
  /// smaller the loss: a step that is taken instead of an earlier one gains less per byte. With too few bytes the smallest selection.
  PrecisionSelection within(uint64_t bytes) const;
  /// How many steps it takes until the loss is at most `loss`; all of them where it never is.
  size_t steps_to(double loss) const;

 private:
  void take(const PrecisionStep& step, PrecisionSelection& selection) const;

  std::vector<std::vector<PrecisionPrice>> items_;
  std::vector<PrecisionStep> steps_;
  PrecisionSelection smallest_;
};

}  // namespace nibble
