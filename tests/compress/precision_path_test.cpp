#include "compress/precision_path.hpp"

#include <gtest/gtest.h>

#include <random>

namespace nibble {

namespace {

using Items = std::vector<std::vector<PrecisionPrice>>;

/// Items with prices that fall as in real weights, more or less.
Items random_items(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  auto uniform = [&](double from, double to) { return from + (to - from) * static_cast<double>(random() % 10007) / 10007.0; };
  Items items(count);
  for (auto& prices : items) {
    auto bytes = static_cast<uint64_t>(uniform(100, 5000));
    double loss = uniform(0, 1);
    for (size_t choice = 0; choice < 5; ++choice) {
      prices.push_back({bytes, loss});
      bytes += static_cast<uint64_t>(uniform(1, 2000));
      loss *= uniform(0.0, 1.05);
    }
  }
  return items;
}

double best_loss(const Items& items, size_t item, uint64_t bytes) {
  if (item == items.size()) return 0;
  double best = 1e9;
  for (const PrecisionPrice& price : items[item])
    if (price.bytes <= bytes) best = std::min(best, price.loss + best_loss(items, item + 1, bytes - price.bytes));
  return best;
}

TEST(PrecisionPath, BeginsWithTheSmallestAndEndsWithTheBest) {
  PrecisionPath path({{{10, 4}, {20, 1}, {40, 0}}, {{30, 2}, {5, 9}}});
  PrecisionSelection smallest = path.after(0), best = path.after(100);
  EXPECT_EQ(smallest.choices, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(smallest.bytes, 15u);
  EXPECT_DOUBLE_EQ(smallest.loss, 13);
  EXPECT_EQ(best.choices, (std::vector<size_t>{2, 0}));
  EXPECT_EQ(best.bytes, 70u);
  EXPECT_DOUBLE_EQ(best.loss, 2);
}

TEST(PrecisionPath, TakesTheLargestGainPerByteFirst) {
  PrecisionPath path({{{10, 4}, {20, 3}}, {{10, 4}, {20, 1}}, {{10, 4}, {15, 2.5}}});
  std::vector<size_t> items;
  for (const PrecisionStep& step : path.steps()) items.push_back(step.item);
  EXPECT_EQ(items, (std::vector<size_t>{1, 2, 0}));
}

TEST(PrecisionPath, LeavesOutChoicesAboveTheConvexHull) {
  // The second choice gains 1 for 10 bytes, the third 9 for 20.
  PrecisionPath path({{{10, 10}, {20, 9}, {30, 1}, {40, 1.5}}});
  ASSERT_EQ(path.steps().size(), 1u);
  EXPECT_EQ(path.steps()[0].choice, 2u);
  EXPECT_EQ(path.steps()[0].bytes, 20u);
}

TEST(PrecisionPath, GoesOnToStepsThatStillFit) {
  PrecisionPath path({{{10, 10}, {110, 0}}, {{10, 1}, {20, 0.5}}});
  PrecisionSelection selection = path.within(35);
  EXPECT_EQ(selection.choices, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(selection.bytes, 30u);
}

TEST(PrecisionPath, MoreBytesNeverLoseMore) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    PrecisionPath path(random_items(12, seed));
    double before = path.after(0).loss;
    for (uint64_t bytes = path.after(0).bytes; bytes < path.after(1000).bytes + 100; bytes += 37) {
      PrecisionSelection selection = path.within(bytes);
      ASSERT_LE(selection.bytes, bytes);
      ASSERT_LE(selection.loss, before + 1e-12) << "seed " << seed << ", " << bytes << " bytes";
      before = selection.loss;
    }
    EXPECT_NEAR(before, path.after(1000).loss, 1e-12);
  }
}

TEST(PrecisionPath, IsCloseToTheBestOfAllChoices) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    Items items = random_items(6, seed);
    PrecisionPath path(items);
    PrecisionSelection smallest = path.after(0), largest = path.after(1000);
    uint64_t bytes = (smallest.bytes + largest.bytes) / 2;
    // Greedy is off by one step at most.
    double worst_step = 0;
    for (const PrecisionStep& step : path.steps()) worst_step = std::max(worst_step, step.gain);
    EXPECT_LE(path.within(bytes).loss, best_loss(items, 0, bytes) + worst_step) << "seed " << seed;
    EXPECT_GE(path.within(bytes).loss, best_loss(items, 0, bytes) - 1e-12);
  }
}

TEST(PrecisionPath, CountsTheStepsToALoss) {
  PrecisionPath path({{{10, 4}, {20, 1}}, {{10, 2}, {20, 1.5}}});
  EXPECT_EQ(path.steps_to(6), 0u);
  EXPECT_EQ(path.steps_to(3), 1u);
  EXPECT_EQ(path.steps_to(2.5), 2u);
  EXPECT_EQ(path.steps_to(0), 2u);
}

}  // namespace
}  // namespace nibble
