#include "device/cpu/conv_states.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace nibble::cpu {
namespace {

class ConvStatesTest : public testing::Test {
 protected:
  /// All floats of a layer.
  std::vector<float> values(SequenceId sequence, size_t layer, size_t count) {
    const float* state = states_.state(sequence, layer);
    return {state, state + count};
  }
  void fill(SequenceId sequence, size_t layer, size_t count, float value) { std::fill_n(states_.state(sequence, layer), count, value); }

  ConvStates states_{{{.width = 2, .kernel = 3}, {.width = 5, .kernel = 1}, {.width = 1, .kernel = 2}}};
};

TEST_F(ConvStatesTest, BeginWithZeros) {
  EXPECT_EQ(values(1, 0, 4), std::vector<float>(4));
  EXPECT_EQ(values(1, 2, 1), std::vector<float>(1));
}

TEST_F(ConvStatesTest, LayersAndSequencesDoNotTouchEachOther) {
  fill(1, 0, 4, 7);
  EXPECT_EQ(values(1, 2, 1), std::vector<float>(1));
  EXPECT_EQ(values(2, 0, 4), std::vector<float>(4));
}

TEST_F(ConvStatesTest, ForkIsACopy) {
  fill(1, 0, 4, 7);
  states_.fork(1, 2);
  fill(1, 0, 4, 8);
  EXPECT_EQ(values(2, 0, 4), std::vector<float>(4, 7));
}

TEST_F(ConvStatesTest, ForkOfAnUnknownSequenceForgets) {
  fill(2, 0, 4, 7);
  states_.fork(1, 2);
  EXPECT_EQ(values(2, 0, 4), std::vector<float>(4));
}

TEST_F(ConvStatesTest, ForkToItselfChangesNothing) {
  fill(1, 0, 4, 7);
  states_.fork(1, 1);
  EXPECT_EQ(values(1, 0, 4), std::vector<float>(4, 7));
}

TEST_F(ConvStatesTest, ReleasedSequencesBeginAnew) {
  fill(1, 0, 4, 7);
  states_.release(1);
  EXPECT_EQ(values(1, 0, 4), std::vector<float>(4));
}

TEST_F(ConvStatesTest, SnapshotsAreRestored) {
  auto before = states_.snapshot(1);
  fill(1, 0, 4, 7);
  auto filled = states_.snapshot(1);
  fill(1, 0, 4, 8);
  states_.restore(1, filled);
  EXPECT_EQ(values(1, 0, 4), std::vector<float>(4, 7));
  states_.restore(1, before);
  EXPECT_EQ(values(1, 0, 4), std::vector<float>(4));
}

}  // namespace
}  // namespace nibble::cpu
