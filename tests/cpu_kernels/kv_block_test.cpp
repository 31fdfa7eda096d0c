#include "device/cpu/kernels/kv_block.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "kv_keys.hpp"

namespace nibble::cpu {
namespace {

using namespace kv_tests;

class KvBlock : public testing::TestWithParam<KvPrecision> {};
INSTANTIATE_TEST_SUITE_P(All, KvBlock, testing::ValuesIn(kPrecisions),
                         [](const auto& precision) { return kNames[static_cast<int>(precision.param)]; });

TEST_P(KvBlock, RoundsToNearest) {
  for (auto [key_dim, value_dim] : {std::pair<size_t, size_t>{16, 16}, {33, 80}, {80, 17}, {1, 1}}) {
    Keys keys(GetParam(), key_dim, value_dim, kKvBlock);
    auto k = random_floats(1, kKvBlock * key_dim), v = random_floats(2, kKvBlock * value_dim);
    for (size_t t = 0; t < kKvBlock; ++t) keys.write(t, &k[t * key_dim], &v[t * value_dim]);
    auto check = [&](const float* x, const std::vector<float>& stored) {
      for (size_t i = 0; i < stored.size(); ++i) {
        size_t begin = i / kKvGroup * kKvGroup, end = std::min(begin + kKvGroup, stored.size());
        auto [low, high] = std::minmax_element(x + begin, x + end);
        float size = std::abs(x[i]);
        float bound = GetParam() == KvPrecision::f32    ? 0
                      : GetParam() == KvPrecision::f16  ? size * 0x1p-11f + 0x1p-25f
                      : GetParam() == KvPrecision::bf16 ? size * 0x1p-8f
                                                        : (*high - *low) / 255 * 0.5001f + size * 1e-6f;
        EXPECT_LE(std::abs(stored[i] - x[i]), bound);
      }
    };
    for (size_t t = 0; t < kKvBlock; ++t) {
      check(&k[t * key_dim], keys.key(t));
      check(&v[t * value_dim], keys.value(t));
    }
  }
}

TEST_P(KvBlock, TokensDoNotTouchEachOther) {
  Keys keys = random_keys(GetParam(), 24, 40, kKvBlock), changed = random_keys(GetParam(), 24, 40, kKvBlock);
  auto other = random_floats(9, 40, 5);
  changed.write(7, other.data(), other.data());
  for (size_t t = 0; t < kKvBlock; ++t) {
    EXPECT_EQ(keys.key(t) == changed.key(t), t != 7);
    EXPECT_EQ(keys.value(t) == changed.value(t), t != 7);
  }
}

TEST_P(KvBlock, MarksTokensThatAreNotFinite) {
  Keys keys = random_keys(GetParam(), 16, 16, kKvBlock);
  auto marks = [&] {
    uint32_t bits;
    std::memcpy(&bits, keys.blocks[0] + keys.layout.nonfinite, sizeof(bits));
    return bits;
  };
  EXPECT_EQ(marks(), 0u);
  std::vector<float> finite(16, 1), infinite(16, 1);
  infinite[15] = -std::numeric_limits<float>::infinity();
  keys.write(31, finite.data(), infinite.data());
  keys.write(3, finite.data(), infinite.data());
  keys.write(4, infinite.data(), finite.data());  // keys need no mark
  EXPECT_EQ(marks(), uint32_t{1} << 31 | uint32_t{1} << 3);
  keys.write(31, finite.data(), finite.data());
  EXPECT_EQ(marks(), uint32_t{1} << 3);
}

TEST(KvBlockCodes, ConstantGroupsAreExact) {
  Keys keys(KvPrecision::u8, 70, 70, 1);
  for (float x : {0.0f, 0.1f, -3.3e38f, 1e-45f}) {
    std::vector<float> row(70, x);
    keys.write(0, row.data(), row.data());
    EXPECT_EQ(keys.key(0), row);
    EXPECT_EQ(keys.value(0), row);
  }
}

TEST(KvBlockCodes, TheWholeRangeOfFloats) {
  Keys keys(KvPrecision::u8, 4, 4, 1);
  constexpr float kMax = std::numeric_limits<float>::max();
  std::vector<float> row{-kMax, kMax, 0, kMax / 2};
  keys.write(0, row.data(), row.data());
  auto stored = keys.key(0);
  EXPECT_EQ(stored[0], -kMax);
  for (size_t i = 1; i < 4; ++i) EXPECT_NEAR(stored[i] / kMax, row[i] / kMax, 1.01 / 255) << i;
}

TEST(KvBlockCodes, NotANumberMakesItsGroupNotANumber) {
  for (float bad : {kNan, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    Keys keys(KvPrecision::u8, 64, 64, 1);
    std::vector<float> row(64, 2);
    row[40] = bad;
    keys.write(0, row.data(), row.data());
    for (const auto& stored : {keys.key(0), keys.value(0)})
      for (size_t i = 0; i < 64; ++i) EXPECT_EQ(std::isnan(stored[i]), i >= 32);
  }
}

}  // namespace
}  // namespace nibble::cpu
