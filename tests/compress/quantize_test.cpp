#include "compress/quantize.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "nibble/error.hpp"
#include "tensor/convert.hpp"

namespace nibble {
namespace {

struct Group {
  std::vector<int> codes;
  float scale;
  int zero_point;
};

Group quantize(CompressWeightsMode mode, std::vector<float> weights) {
  std::vector<uint8_t> codes(weights.size());
  float scale = 0;
  uint8_t zero_point = 0;
  quantize_groups(weights, {.mode = mode, .group_size = weights.size()}, {codes, {&scale, 1}, {&zero_point, 1}});
  return {{codes.begin(), codes.end()}, scale, zero_point};
}

TEST(Quantize, SymmetricScaleIsNegativeWhenTheLargestWeightIsPositive) {
  Group group = quantize(CompressWeightsMode::int4_sym, {0.8f, -0.4f, 0.1f});
  EXPECT_EQ(group.scale, -0.1f);
  EXPECT_EQ(group.codes, (std::vector<int>{0xf8, 4, 0xff}));  // -8, 4, -1 in two's complement
}

TEST(Quantize, AsymmetricRangeIncludesZero) {
  Group group = quantize(CompressWeightsMode::int4_asym, {1.5f, 3.0f, 0.75f});
  EXPECT_EQ(group.scale, 0.2f);
  EXPECT_EQ(group.zero_point, 0);
  EXPECT_EQ(group.codes, (std::vector<int>{8, 15, 4}));  // 1.5 / f32(0.2) rounds to 7.5, and that to even
}

TEST(Quantize, HalvesRoundToEven) {
  Group group = quantize(CompressWeightsMode::int4_sym, {-8.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f});
  EXPECT_EQ(group.scale, 1.0f);
  EXPECT_EQ(group.codes, (std::vector<int>{0xf8, 0, 2, 2, 0, 0xfe}));
}

TEST(Quantize, ZerosTakeTheSmallestScale) {
  Group group = quantize(CompressWeightsMode::int8_asym, {0.0f, 0.0f});
  EXPECT_EQ(group.scale, 0x1p-23f);
  EXPECT_EQ(group.codes, (std::vector<int>{0, 0}));
}

TEST(Quantize, LargeWeightsRoundSomePowersOfTwoUp) {
  std::vector<float> weights{6 * 0x1p-15f};
  float scale = 0;
  float_scales(weights, {.mode = CompressWeightsMode::mxfp4, .group_size = 1}, {&scale, 1});
  EXPECT_EQ(scale, 0x1p-15f);
  float_scales(weights, {.mode = CompressWeightsMode::mxfp4, .group_size = 1, .large = true}, {&scale, 1});
  EXPECT_EQ(scale, 0x1p-14f);
}

class PackCodes : public testing::TestWithParam<ElementType> {};

TEST_P(PackCodes, KeepsWhatStandsAround) {
  size_t bits = bit_width(GetParam());
  std::vector<uint8_t> codes(77);
  std::vector<int64_t> expected;
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 29 % (1u << bits)), expected.push_back(codes[i]);
  for (size_t split : {0u, 1u, 2u, 5u, 8u, 13u, 76u, 77u}) {
    std::vector<std::byte> packed(packed_bytes(GetParam(), codes.size()));
    // Out of order, so that each part finds the other's bits in the byte between them.
    pack_codes(GetParam(), std::span(codes).subspan(split), packed.data(), split);
    pack_codes(GetParam(), std::span(codes).first(split), packed.data(), 0);
    std::vector<int64_t> unpacked(codes.size());
    unpack_to_int64(GetParam(), packed.data(), 0, unpacked);
    EXPECT_EQ(unpacked, expected) << "split at " << split;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PackCodes, testing::Values(ElementType::u8, ElementType::u4, ElementType::u3, ElementType::u2),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(Codebook, MustBeSortedAndUnique) {
  EXPECT_THROW(codebook_levels(Tensor::from<float>({3}, std::vector<float>{1, 1, 2})), Error);
  EXPECT_THROW(codebook_levels(Tensor::from<float>({3}, std::vector<float>{1, 3, 2})), Error);
  EXPECT_THROW(codebook_levels(Tensor::from<float>({1}, std::vector<float>{1})), Error);
  EXPECT_THROW(codebook_levels(Tensor::from<float>({1, 2}, std::vector<float>{1, 2})), Error);
  EXPECT_THROW(codebook_levels(Tensor(ElementType::f32, {257})), Error);
  EXPECT_EQ(codebook_levels(Tensor::from<float>({3}, std::vector<float>{-4, 1, 2})).largest, 4.0f);
}

}  // namespace
}  // namespace nibble
