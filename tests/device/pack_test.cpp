#include "device/cpu/pack.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "weight_samples.hpp"

namespace nibble::cpu {
namespace {

using test::expected_weights;
using test::fails;
using test::made_lazy;
using test::packed_code;
using test::packed_scale;
using test::packed_weights;
using test::random_weight;
using test::same_values;
using enum ElementType;

/// A packed request and its memory.
struct Packed {
  PackedFormat format;
  std::vector<std::byte> codes, scales;
  std::vector<uint8_t> zero_points;

  PackedMatrix matrix() const {
    PackedMatrix matrix = describe(format);
    matrix.codes = codes.data();
    if (!scales.empty()) matrix.scales = scales.data();
    if (!zero_points.empty()) matrix.zero_points = zero_points.data();
    if (format.code_type == CodeType::level4) matrix.levels = format.levels.data();
    return matrix;
  }
  PackedSlice at(size_t panel) {
    size_t panels = describe(format).panels();
    return {codes.data() + panel * (codes.size() / panels), scales.data() + panel * (scales.size() / panels),
            zero_points.data() + panel * (zero_points.size() / panels)};
  }
};

/// Packs in slices of so many panels into memory that is not zero before.
Packed pack(const PackRequest& request, size_t panels_at_a_time = 1000) {
  Packed packed{choose_format(request), {}, {}, {}};
  packed.codes.assign(packed.format.code_bytes(), std::byte{0xa5});
  packed.scales.assign(packed.format.scale_bytes(), std::byte{0xa5});
  packed.zero_points.assign(packed.format.zero_point_bytes(), 0xa5);
  size_t first = 0;
  for (const WeightMatrix& part : request.parts) {
    size_t panels = (part.rows + 15) / 16;
    for (size_t at = 0; at < panels; at += panels_at_a_time)
      pack_panels(packed.format, part, {at, std::min(at + panels_at_a_time, panels)}, packed.at(first + at));
    first += panels;
  }
  return packed;
}

Packed pack(const WeightMatrix& weight, PackOptions options = {}) { return pack(PackRequest{{weight}, options}); }

struct Case {
  std::string name;
  test::WeightTypes types;
  size_t group_size;
  CodeType code_type;
  ScaleType scale_type;
};

class PackEveryType : public testing::TestWithParam<Case> {};

TEST_P(PackEveryType, KeepsEveryWeight) {
  const Case& param = GetParam();
  for (auto [rows, columns] : {std::pair{16, 128}, {48, 256}, {1, 128}, {17, 192}, {37, 448}, {100, 320}}) {
    SCOPED_TRACE(testing::Message() << rows << " x " << columns);
    WeightMatrix weight = random_weight(param.types, static_cast<size_t>(rows), static_cast<size_t>(columns), param.group_size);
    Packed packed = pack(weight);
    EXPECT_EQ(packed.format.code_type, param.code_type);
    EXPECT_EQ(packed.format.scale_type, param.scale_type);
    EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected_weights(weight)));
  }
}

TEST_P(PackEveryType, PadsWithZeros) {
  const Case& param = GetParam();
  WeightMatrix weight = random_weight(param.types, 19, 80, param.group_size == 0 ? 0 : 16);
  Packed packed = pack(weight);
  PackedMatrix matrix = packed.matrix();
  for (size_t row = 0; row < 32; ++row)
    for (size_t column = row < 19 ? 80 : 0; column < 96; ++column) {
      if (row >= 19 && matrix.scale_type != ScaleType::none) {
        ASSERT_EQ(packed_scale(matrix, row, column), 0) << row << " " << column;
      } else {
        float zero_code = matrix.code_type == CodeType::level4 ? matrix.levels[0] : 0.0f;
        ASSERT_EQ(packed_code(matrix, row, column), zero_code) << row << " " << column;
      }
    }
}

TEST_P(PackEveryType, GivesTheSameBytesInSlices) {
  WeightMatrix weight = random_weight(GetParam().types, 90, 128, GetParam().group_size);
  Packed whole = pack(weight);
  for (size_t panels : {1, 2, 5}) {
    Packed sliced = pack(PackRequest{{weight}, {}}, panels);
    EXPECT_EQ(sliced.codes, whole.codes);
    EXPECT_EQ(sliced.scales, whole.scales);
    EXPECT_EQ(sliced.zero_points, whole.zero_points);
  }
}

TEST_P(PackEveryType, TakesValuesMadeOnDemand) {
  WeightMatrix weight = random_weight(GetParam().types, 90, 128, GetParam().group_size);
  for (int64_t source_rows : {90, 45, 9}) {
    SCOPED_TRACE(source_rows);
    Packed packed = pack(PackRequest{{made_lazy(weight, source_rows)}, {}}, 2);
    EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected_weights(weight)));
  }
}

TEST_P(PackEveryType, TakesOneOfStackedMatrices) {
  WeightMatrix all = random_weight(GetParam().types, 75, 64, GetParam().group_size == 0 ? 0 : 16);
  WeightMatrix expert = all;
  expert.rows = 25;
  for (size_t first : {0, 25, 50}) {
    expert.first_row = first;
    EXPECT_TRUE(same_values(packed_weights(pack(expert).matrix()), expected_weights(expert))) << first;
  }
}

INSTANTIATE_TEST_SUITE_P(, PackEveryType,
                         testing::Values(Case{"u4", {u4, f16, u4}, 64, CodeType::u4, ScaleType::f16},
                                         Case{"u4_groups_of_16", {u4, f16, u4}, 16, CodeType::u4, ScaleType::f16},
                                         Case{"u4_per_row", {u4, f16, u4}, 0, CodeType::u4, ScaleType::f32},
                                         Case{"u4_bytes_as_zero_points", {u4, f32, u8}, 32, CodeType::u4, ScaleType::f32},
                                         Case{"u4_without_zero_points", {u4, f16, dynamic}, 32, CodeType::u4, ScaleType::f16},
                                         Case{"u4_without_scales", {u4, dynamic, dynamic}, 0, CodeType::u4, ScaleType::f32},
                                         Case{"i4", {i4, f16, dynamic}, 32, CodeType::u4, ScaleType::f16},
                                         Case{"i4_zero_points", {i4, f16, i4}, 32, CodeType::u4, ScaleType::f16},
                                         Case{"i4_bf16_scales", {i4, bf16, dynamic}, 0, CodeType::u4, ScaleType::f32},
                                         Case{"u8", {u8, f16, u8}, 0, CodeType::u8, ScaleType::f32},
                                         Case{"u8_groups", {u8, f16, u8}, 64, CodeType::u8, ScaleType::f16},
                                         Case{"i8", {i8, f16, dynamic}, 0, CodeType::u8, ScaleType::f32},
                                         Case{"i8_zero_points", {i8, f32, i8}, 16, CodeType::u8, ScaleType::f32},
                                         Case{"nf4", {nf4, f16, dynamic}, 64, CodeType::level4, ScaleType::f16},
                                         Case{"mxfp4", {f4e2m1, f8e8m0, dynamic}, 32, CodeType::level4, ScaleType::f16},
                                         Case{"nvfp4", {f4e2m1, f32, dynamic}, 16, CodeType::level4, ScaleType::f32},
                                         Case{"f8e4m3", {f8e4m3, f16, dynamic}, 0, CodeType::f8e4m3, ScaleType::f32},
                                         Case{"mxfp8", {f8e4m3, f8e8m0, dynamic}, 32, CodeType::f8e4m3, ScaleType::f16},
                                         Case{"f8e4m3_alone", {f8e4m3, dynamic, dynamic}, 0, CodeType::f8e4m3, ScaleType::none},
                                         Case{"f16", {f16, dynamic, dynamic}, 0, CodeType::f16, ScaleType::none},
                                         Case{"bf16", {bf16, dynamic, dynamic}, 0, CodeType::bf16, ScaleType::none},
                                         Case{"f32", {f32, dynamic, dynamic}, 0, CodeType::f32, ScaleType::none}),
                         [](const auto& instance) { return instance.param.name; });

TEST(Pack, TakesRowsThatStartInTheMiddleOfAByte) {
  for (ElementType type : {u4, i4, nf4})
    for (size_t columns : {1, 7, 33, 63}) {
      WeightMatrix weight = random_weight({type, f16}, 21, columns, 0);
      EXPECT_TRUE(same_values(packed_weights(pack(weight).matrix()), expected_weights(weight))) << to_string(type) << " " << columns;
    }
}

TEST(Pack, TakesOddNumbersOfColumnsOfFloats) {
  for (ElementType type : {f16, bf16, f32, f8e4m3})
    for (size_t columns : {1, 31, 45}) {
      WeightMatrix weight = random_weight({type}, 33, columns, 0);
      EXPECT_TRUE(same_values(packed_weights(pack(weight).matrix()), expected_weights(weight))) << to_string(type) << " " << columns;
    }
}

TEST(Pack, TakesViewsAtAnyAlignment) {
  WeightMatrix weight = random_weight({f32}, 20, 40, 0);
  std::vector<std::byte> memory(weight.codes.byte_size() + 1);
  std::memcpy(memory.data() + 1, weight.codes.view().data(), weight.codes.byte_size());
  WeightMatrix moved = weight;
  moved.codes = Tensor::view(f32, {20, 40}, std::span(memory).subspan(1), nullptr);
  EXPECT_EQ(pack(moved).codes, pack(weight).codes);
}

TEST(Pack, RoundsFloatsToBf16WhenAsked) {
  for (ElementType type : {f16, bf16, f32}) {
    WeightMatrix weight = random_weight({type}, 35, 50, 0);
    std::vector<float> expected = expected_weights(weight);
    for (float& value : expected) value = to_float(to_bfloat16(value));
    Packed packed = pack(weight, {.to_bf16 = true});
    EXPECT_EQ(packed.format.code_type, CodeType::bf16);
    EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected)) << to_string(type);
  }
}

TEST(Pack, RoundsExtremesToBf16) {
  std::vector<float> values{INFINITY, -INFINITY, NAN, 3.4e38f, -3.4e38f, 1e-45f, 1e-40f, -0.0f, 1.00390625f, 1.01171875f};
  WeightMatrix weight = random_weight({f32}, 1, values.size(), 0);
  weight.codes = Tensor::from<float>({1, static_cast<int64_t>(values.size())}, values);
  std::vector<float> expected = values;
  for (float& value : expected) value = to_float(to_bfloat16(value));
  EXPECT_TRUE(same_values(packed_weights(pack(weight, {.to_bf16 = true}).matrix()), expected));
}

TEST(Pack, KeepsAllBitsOfF16) {
  Tensor every(f16, {256, 256});
  for (size_t i = 0; i < 65536; ++i) every.as_mutable<float16>()[i].bits = static_cast<uint16_t>(i);
  WeightMatrix weight = random_weight({f16}, 256, 256, 0);
  weight.codes = every;
  Packed packed = pack(weight);
  for (size_t i = 0; i < 65536; ++i) {
    size_t row = i / 256, column = i % 256;
    ASSERT_EQ(test::load_at<uint16_t>(packed.codes.data(), row / 16 * 16 * 256 + column * 16 + row % 16), i);
  }
}

TEST(Pack, TransposesFloats) {
  for (ElementType type : {f16, bf16, f32})
    for (bool lazy : {false, true}) {
      WeightMatrix weight = random_weight({type}, 37, 50, 0);
      weight.transposed = true;
      WeightMatrix source = lazy ? made_lazy(weight, 37) : weight;
      EXPECT_TRUE(same_values(packed_weights(pack(PackRequest{{source}, {}}, 1).matrix()), expected_weights(weight))) << to_string(type);
      EXPECT_TRUE(can_pack(weight));
    }
}

TEST(Pack, TransposesOneOfStackedMatrices) {
  WeightMatrix weight = random_weight({f16}, 60, 34, 0);
  weight.transposed = true;
  weight.rows = 20;
  weight.first_row = 40;
  EXPECT_TRUE(same_values(packed_weights(pack(weight).matrix()), expected_weights(weight)));
}

TEST(Pack, TakesCodebooks) {
  WeightMatrix weight = random_weight({u4, f16}, 20, 64, 32);
  for (int i = 0; i < 16; ++i) weight.levels.push_back(static_cast<float>(i * i) - 50.5f);
  Packed packed = pack(weight);
  EXPECT_EQ(packed.format.code_type, CodeType::level4);
  EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected_weights(weight)));
}

TEST(Pack, StacksMatrices) {
  for (const test::WeightTypes& types : {test::WeightTypes{u4, f16, u4}, {i8, f32}, {f16}, {nf4, f16}}) {
    PackRequest request{{random_weight(types, 32, 96, 0, 1), random_weight(types, 16, 96, 0, 2), random_weight(types, 21, 96, 0, 3)}, {}};
    std::vector<float> expected;
    for (const WeightMatrix& part : request.parts) {
      auto weights = expected_weights(part);
      expected.insert(expected.end(), weights.begin(), weights.end());
    }
    Packed packed = pack(request, 1);
    EXPECT_EQ(packed.format.rows, 69u);
    EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected)) << to_string(types.codes);
  }
}

TEST(Pack, StacksSignedAndUnsignedCodes) {
  PackRequest request{{random_weight({i4, f16}, 16, 64, 32, 1), random_weight({u4, f16, u4}, 16, 64, 32, 2)}, {}};
  Packed packed = pack(request);
  std::vector<float> expected = expected_weights(request.parts[0]), second = expected_weights(request.parts[1]);
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_TRUE(packed.format.has_zero_points);
  EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected));
}

TEST(PackStack, NeedsTheSameColumnsGroupsAndCodes) {
  WeightMatrix first = random_weight({u4, f16}, 32, 64, 32);
  EXPECT_TRUE(can_stack(std::vector{first, random_weight({i4, f32}, 5, 64, 32)}));
  EXPECT_FALSE(can_stack(std::vector{first, random_weight({u4, f16}, 32, 96, 32)}));
  EXPECT_FALSE(can_stack(std::vector{first, random_weight({u4, f16}, 32, 64, 16)}));
  EXPECT_FALSE(can_stack(std::vector{first, random_weight({u8, f16}, 32, 64, 32)}));
  EXPECT_FALSE(can_stack(std::vector{random_weight({nf4, f16}, 16, 64, 32), random_weight({f4e2m1, f16}, 16, 64, 32)}));
  EXPECT_FALSE(can_stack(std::vector<WeightMatrix>{}));
}

TEST(PackStack, NeedsPartsThatEndWithAPanel) {
  WeightMatrix odd = random_weight({u4, f16}, 20, 64, 32), even = random_weight({u4, f16}, 16, 64, 32);
  EXPECT_TRUE(can_stack(std::vector{even, odd}));
  EXPECT_FALSE(can_stack(std::vector{odd, even}));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"cannot be stacked"}, [&] { choose_format({{odd, even}, {}}); }));
}

TEST(PackFormat, StoresF8WithNanCodesAsF16) {
  for (uint8_t nan : {0x7f, 0xff})
    for (bool lazy : {false, true}) {
      WeightMatrix weight = random_weight({f8e4m3, f16}, 40, 64, 0);
      Tensor codes = weight.codes.tensor().clone();
      codes.mutable_data()[39 * 64 + 63] = std::byte{nan};
      weight.codes = codes;
      Packed packed = pack(lazy ? made_lazy(weight, 40) : weight);
      EXPECT_EQ(packed.format.code_type, CodeType::f16);
      EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected_weights(weight)));
    }
}

TEST(PackFormat, TakesF16ScalesOnlyWhereTheyAreExact) {
  WeightMatrix weight = random_weight({u4, f32}, 16, 64, 32);
  std::vector<float> scales(32, 0.5f);
  weight.scales = Tensor::from<float>({16, 2}, scales);
  EXPECT_EQ(choose_format({{weight}, {}}).scale_type, ScaleType::f16);
  for (float inexact : {1.0001f, 1e-30f, 1e6f, NAN}) {
    scales.back() = inexact;
    weight.scales = Tensor::from<float>({16, 2}, scales);
    Packed packed = pack(weight);
    EXPECT_EQ(packed.format.scale_type, ScaleType::f32) << inexact;
    EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected_weights(weight)));
  }
}

TEST(PackFormat, TakesOneScaleAndZeroPointForTheWholeMatrix) {
  WeightMatrix weight = random_weight({u8}, 40, 64, 32);
  weight.scales = Tensor::scalar(0.125f);
  weight.zero_points = Tensor::scalar<uint8_t>(77);
  Packed packed = pack(weight);
  EXPECT_FALSE(packed.format.has_zero_points);
  EXPECT_EQ(packed.format.zero_point, 77);
  EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected_weights(weight)));
}

TEST(PackFormat, KeepsAZeroPointThatIsTheSameEverywhereOnce) {
  WeightMatrix weight = random_weight({i8, f16, i8}, 40, 64, 32);
  Tensor zeros(i8, {40, 2});
  for (int8_t& zero : zeros.as_mutable<int8_t>()) zero = -3;
  weight.zero_points = zeros;
  Packed packed = pack(weight);
  EXPECT_FALSE(packed.format.has_zero_points);
  EXPECT_EQ(packed.format.zero_point, 125);
  EXPECT_TRUE(same_values(packed_weights(packed.matrix()), expected_weights(weight)));
  zeros.as_mutable<int8_t>()[79] = 4;
  EXPECT_TRUE(choose_format({{weight}, {}}).has_zero_points);
}

TEST(PackFormat, RefusesZeroPointsThatAByteDoesNotHold) {
  WeightMatrix weight = random_weight({u4, f16}, 16, 64, 32);
  weight.zero_points = Tensor::scalar<int8_t>(-1);
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"zero point -1"}, [&] { pack(weight); }));
}

TEST(PackFormat, RefusesTypesWithoutAPackedForm) {
  WeightMatrix good = random_weight({u4, f16, u4}, 16, 64, 32);
  for (ElementType type : {f64, u2, f8e5m2, i32}) {
    WeightMatrix weight = good;
    weight.codes = Tensor(type, {16, 64});
    EXPECT_FALSE(can_pack(weight));
    EXPECT_TRUE(fails(ErrorKind::unsupported, {"w1", to_string(type).data()}, [&] { choose_format({{weight}, {}}); }));
  }
  WeightMatrix float_zeros = good;
  float_zeros.zero_points = Tensor(f16, {16, 2});
  EXPECT_FALSE(can_pack(float_zeros));
  WeightMatrix transposed = good;
  transposed.transposed = true;
  EXPECT_FALSE(can_pack(transposed));
  WeightMatrix large_codebook = good;
  large_codebook.zero_points = {};
  large_codebook.levels.assign(256, 1.0f);
  EXPECT_FALSE(can_pack(large_codebook));
}

TEST(PackFormat, RefusesConstantsThatAreTooShort) {
  WeightMatrix good = random_weight({u4, f16, u4}, 16, 64, 32);
  WeightMatrix weight = good;
  weight.first_row = 1;
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"w1", "codes"}, [&] { choose_format({{weight}, {}}); }));
  weight = good;
  weight.scales = Tensor(f16, {15, 2});
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"w1", "30 scales"}, [&] { choose_format({{weight}, {}}); }));
  weight = good;
  weight.zero_points = Tensor(u4, {16});
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"w1", "16 zero points"}, [&] { choose_format({{weight}, {}}); }));
}

}  // namespace
}  // namespace nibble::cpu
