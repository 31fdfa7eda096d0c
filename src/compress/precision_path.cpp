#include "compress/precision_path.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

namespace nibble {

namespace {

using Prices = std::vector<PrecisionPrice>;

/// Of the smallest choices the best.
size_t smallest_of(const Prices& prices) {
  auto less = [](const PrecisionPrice& a, const PrecisionPrice& b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.loss < b.loss; };
  return static_cast<size_t>(std::min_element(prices.begin(), prices.end(), less) - prices.begin());
}

/// The step to the corner that follows on the lower convex hull; nothing at its end.
std::optional<PrecisionStep> next_corner(const Prices& prices, size_t item, size_t from) {
  std::optional<PrecisionStep> best;
  for (size_t to = 0; to < prices.size(); ++to) {
    if (prices[to].bytes <= prices[from].bytes || prices[to].loss >= prices[from].loss) continue;
    PrecisionStep step{item, to, prices[to].bytes - prices[from].bytes, prices[from].loss - prices[to].loss};
    // Of corners on one line the last: fewer steps.
    bool is_better = !best || step.gain_per_byte() > best->gain_per_byte() ||
                     (step.gain_per_byte() == best->gain_per_byte() && step.bytes > best->bytes);
    if (is_better) best = step;
  }
  return best;
}

}  // namespace

PrecisionPath::PrecisionPath(std::vector<Prices> items) : items_(std::move(items)) {
  for (size_t item = 0; item < items_.size(); ++item) {
    size_t at = smallest_of(items_[item]);
    smallest_.choices.push_back(at);
    smallest_.bytes += items_[item][at].bytes;
    smallest_.loss += items_[item][at].loss;
    while (auto step = next_corner(items_[item], item, at)) {
      steps_.push_back(*step);
      at = step->choice;
    }
  }
  std::stable_sort(steps_.begin(), steps_.end(),
                   [](const PrecisionStep& a, const PrecisionStep& b) { return a.gain_per_byte() > b.gain_per_byte(); });
}

/// Losses are added up anew each time, so that they do not depend on the way.
void PrecisionPath::take(const PrecisionStep& step, PrecisionSelection& selection) const {
  selection.choices[step.item] = step.choice;
  selection.bytes += step.bytes;
  selection.loss = 0;
  for (size_t i = 0; i < items_.size(); ++i) selection.loss += items_[i][selection.choices[i]].loss;
}

PrecisionSelection PrecisionPath::after(size_t count) const {
  PrecisionSelection selection = smallest_;
  for (size_t i = 0; i < std::min(count, steps_.size()); ++i) take(steps_[i], selection);
  return selection;
}

PrecisionSelection PrecisionPath::within(uint64_t bytes) const {
  PrecisionSelection selection = smallest_;
  std::vector<bool> is_stuck(items_.size(), false);
  for (const PrecisionStep& step : steps_) {
    if (is_stuck[step.item]) continue;
    if (selection.bytes + step.bytes <= bytes)
      take(step, selection);
    else
      is_stuck[step.item] = true;
  }
  return selection;
}

size_t PrecisionPath::steps_to(double loss) const {
  PrecisionSelection selection = smallest_;
  size_t count = 0;
  while (count < steps_.size() && selection.loss > loss) take(steps_[count++], selection);
  return count;
}

}  // namespace nibble
