#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/op_cases.hpp"
#include "nibble/error.hpp"
#include "tensor/convert.hpp"

namespace nibble::test {
namespace {

// Moving elements that are smaller than a byte.

using testing::ElementsAre;

Tensor list(std::vector<int64_t> values) { return Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values); }
Tensor scalar(int64_t value) { return Tensor::scalar<int64_t>(value); }

/// 0, 1, 2, ... in as many bits as the type has.
Tensor counting(ElementType type, Shape shape) {
  std::vector<int64_t> values(element_count(shape));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int64_t>(i % (size_t{1} << bit_width(type)));
  return convert(Tensor::from<int64_t>(shape, values), type);
}

class PackedTypes : public testing::TestWithParam<ElementType> {};

/// The result on packed elements is the packed result on unpacked ones.
void expect_as_unpacked(ElementType type, std::string_view op, std::vector<Tensor> inputs, size_t data_count,
                        const Attributes& attributes = {}) {
  Tensor packed = run_op(op, inputs, attributes)[0];
  for (size_t i = 0; i < data_count; ++i) inputs[i] = convert(inputs[i], ElementType::i64);
  Tensor expected = run_op(op, inputs, attributes)[0];
  EXPECT_EQ(packed.type(), type);
  EXPECT_EQ(packed.shape(), expected.shape());
  EXPECT_EQ(to_int64s(packed), to_int64s(expected)) << op;
}

TEST_P(PackedTypes, MoveAsUnpackedOnesDo) {
  ElementType type = GetParam();
  Tensor even = counting(type, {3, 8}), odd = counting(type, {3, 5});
  expect_as_unpacked(type, "Gather", {even, list({2, 0, 2}), scalar(0)}, 1);
  expect_as_unpacked(type, "Gather", {odd, list({2, 0, 2}), scalar(0)}, 1);
  expect_as_unpacked(type, "Gather", {odd, list({4, 1}), scalar(1)}, 1);
  expect_as_unpacked(type, "Concat", {even, odd}, 2, {{"axis", "1"}});
  expect_as_unpacked(type, "Concat", {even, even}, 2, {{"axis", "0"}});
  expect_as_unpacked(type, "Transpose", {odd, list({1, 0})}, 1);
  expect_as_unpacked(type, "Slice", {odd, list({1}), list({5}), list({2}), list({1})}, 1);
  expect_as_unpacked(type, "Broadcast", {odd, list({2, 3, 5})}, 1, {{"mode", "numpy"}});
  expect_as_unpacked(type, "Reshape", {odd, list({5, 3})}, 1, {{"special_zero", "false"}});
  expect_as_unpacked(type, "Split", {even, scalar(1)}, 1, {{"num_splits", "4"}});
}

INSTANTIATE_TEST_SUITE_P(Unsigned, PackedTypes,
                         testing::Values(ElementType::u1, ElementType::u2, ElementType::u3, ElementType::u4, ElementType::u6),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(PackedGather, KeepsCodesOfNf4) {
  std::vector<std::byte> codes{std::byte{0x10}, std::byte{0x32}, std::byte{0x54}, std::byte{0x76}};
  Tensor table = Tensor::view(ElementType::nf4, {4, 2}, codes, nullptr);
  Tensor rows = run_op("Gather", {table, list({3, 1}), scalar(0)})[0];
  EXPECT_EQ(rows.type(), ElementType::nf4);
  EXPECT_THAT(rows.bytes(), ElementsAre(std::byte{0x76}, std::byte{0x32}));
  Tensor column = run_op("Gather", {table, list({1}), scalar(1)})[0];
  EXPECT_THAT(column.bytes(), ElementsAre(std::byte{0x31}, std::byte{0x75}));
}

TEST(PackedGather, KeepsSignsOfI4) {
  std::vector<int64_t> values{-8, 7, -1, 0};
  Tensor table = convert(Tensor::from<int64_t>({4, 1}, values), ElementType::i4);
  EXPECT_THAT(to_int64s(run_op("Gather", {table, list({0, 2}), scalar(0)})[0]), ElementsAre(-8, -1));
}

TEST(PackedGather, RefusesStrings) {
  std::vector<std::byte> text(16);
  Tensor table = Tensor::view(ElementType::string, {2}, text, nullptr);
  EXPECT_THROW(run_op("Gather", {table, list({0}), scalar(0)}), Error);
}

TEST(GatherNothing, HasNoElements) {
  Tensor out = run_op("Gather", {Tensor(ElementType::f32, {3, 4, 2}), list({}), scalar(1)})[0];
  EXPECT_EQ(out.shape(), (Shape{3, 0, 2}));
}

TEST(ReverseAxes, ByIndexAndByMask) {
  Tensor data = counting(ElementType::u8, {2, 3});
  EXPECT_THAT(to_int64s(run_op("Reverse", {data, list({1})}, {{"mode", "index"}})[0]), ElementsAre(2, 1, 0, 5, 4, 3));
  Tensor mask = convert(list({1, 0}), ElementType::boolean);
  EXPECT_THAT(to_int64s(run_op("Reverse", {data, mask}, {{"mode", "mask"}})[0]), ElementsAre(3, 4, 5, 0, 1, 2));
}

/// As OpenVINO does it.
TEST(SqueezeAxes, OfAnotherSizeThanOneStay) {
  Tensor data(ElementType::f32, {1, 2, 1});
  EXPECT_EQ(run_op("Squeeze", {data, list({0, 1})})[0].shape(), (Shape{2, 1}));
}

}  // namespace
}  // namespace nibble::test
