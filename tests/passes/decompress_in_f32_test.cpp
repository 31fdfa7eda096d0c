#include "passes/decompress_in_f32.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/thread_pool.hpp"
#include "passes/constant_folding.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble {
namespace {

Tensor packed(ElementType type, Shape shape, std::vector<float> values) {
  Tensor tensor(type, std::move(shape));
  pack_from_float(type, values, tensor.mutable_data(), 0);
  return tensor;
}

float rounded(float value) { return to_floats(packed(ElementType::f16, {1}, {value}))[0]; }

std::vector<float> rounded(std::vector<float> values) {
  for (float& v : values) v = rounded(v);
  return values;
}

/// A weight of 2 rows of 4 codes as exporters write it: Convert to f16, Subtract, Multiply by scales that need all bits of f16.
class Decompression : public testing::Test {
 protected:
  Value half(Tensor tensor) { return convert(graph_.add_constant(std::move(tensor)).output(), ElementType::f16); }
  Value convert(Value value, ElementType type) {
    return graph_.add("Convert", {value}, {{"destination_type", std::string(to_string(type))}}).output();
  }
  static Value marked(Value value) {
    value.node->rt_info().push_back({{"name", "decompression"}, {"version", "0"}});
    return value;
  }
  Value weight(ElementType type, std::vector<float> codes, std::vector<float> zero_points = {}) {
    Value value = half(packed(type, {2, 4}, codes));
    if (!zero_points.empty()) value = graph_.add("Subtract", {value, half(packed(type, {2, 1}, zero_points))}).output();
    return graph_.add("Multiply", {value, graph_.add_constant(packed(ElementType::f16, {2, 1}, scales_)).output()}).output();
  }
  /// What (code - zero point) * scale is in f32.
  std::vector<float> expected(ElementType type, const std::vector<float>& codes, std::vector<float> zero_points = {0, 0}) const {
    auto stored = to_floats(packed(type, {2, 4}, codes)), scales = rounded(scales_);
    for (size_t i = 0; i < stored.size(); ++i) stored[i] = (stored[i] - zero_points[i / 4]) * scales[i / 4];
    return stored;
  }

  Node& matmul(Value weight) {
    Value x = graph_.add_parameter(weight.type(), {1, 4}, "x" + std::to_string(graph_.parameters().size())).output();
    return reader(graph_.add("MatMul", {x, weight}, {{"transpose_b", "true"}}));
  }
  Node& gather(Value table) {
    Value ids = graph_.add_parameter(ElementType::i32, {1}, "ids").output();
    return reader(graph_.add("Gather", {table, ids, graph_.add_constant(Tensor::scalar<int32_t>(0)).output()}));
  }
  Node& reader(Node& node) {
    graph_.add("Result", {node.output()});
    return node;
  }

  void run() {
    decompress_in_f32(graph_);
    ThreadPool threads(1);
    fold_constants(graph_, threads);
  }
  static std::vector<float> value(const Node& reader, size_t input) { return to_floats(reader.input(input).node->constant().tensor()); }

  Graph graph_;
  std::vector<float> scales_{0.0999755859375f, 0.01239776611328125f};
};

TEST_F(Decompression, SignedCodesAreScaledWithoutRounding) {
  std::vector<float> codes{-8, -7, -3, 0, 3, 5, 6, 7};
  Node& layer = matmul(convert(weight(ElementType::i4, codes), ElementType::f32));
  run();
  EXPECT_EQ(value(layer, 1), expected(ElementType::i4, codes));
  EXPECT_NE(value(layer, 1), rounded(expected(ElementType::i4, codes)));
}

TEST_F(Decompression, ZeroPointsAreSubtractedFirst) {
  std::vector<float> codes{0, 1, 100, 255, 7, 8, 200, 33}, zero_points{128, 9};
  Node& layer = matmul(convert(weight(ElementType::u8, codes, zero_points), ElementType::f32));
  run();
  EXPECT_EQ(value(layer, 1), expected(ElementType::u8, codes, zero_points));
}

TEST_F(Decompression, FloatCodesAreScaledWithoutRounding) {
  std::vector<float> codes{-1, -0.69619, -0.0911, 0, 0.1609, 0.4407, 0.72296, 1};
  for (ElementType type : {ElementType::nf4, ElementType::f8e4m3}) {
    Node& layer = matmul(convert(weight(type, codes), ElementType::f32));
    run();
    EXPECT_EQ(value(layer, 1), expected(type, codes)) << to_string(type);
  }
}

TEST_F(Decompression, GroupsAreMergedAfterwards) {
  std::vector<float> codes{-8, -7, -3, 0, 3, 5, 6, 7};
  Value shape = graph_.add_constant(Tensor::from<int64_t>({2}, std::array<int64_t, 2>{2, 4})).output();
  Value merged = graph_.add("Reshape", {weight(ElementType::i4, codes), shape}, {{"special_zero", "false"}}).output();
  Node& layer = matmul(convert(merged, ElementType::f32));
  run();
  EXPECT_EQ(value(layer, 1), expected(ElementType::i4, codes));
}

TEST_F(Decompression, ReaderInHalfGetsTheRoundedResult) {
  std::vector<float> codes{-8, -7, -3, 0, 3, 5, 6, 7};
  Node& layer = matmul(weight(ElementType::i4, codes));
  run();
  EXPECT_EQ(layer.input(1).type(), ElementType::f16);
  EXPECT_EQ(value(layer, 1), rounded(expected(ElementType::i4, codes)));
  EXPECT_EQ(layer.output_info().type, ElementType::f16);
}

TEST_F(Decompression, TableAndHeadShareTheExactValue) {
  std::vector<float> codes{0, 1, 100, 255, 7, 8, 200, 33}, zero_points{128, 9};
  Value shared = convert(weight(ElementType::u8, codes, zero_points), ElementType::f32);
  Node &table = gather(shared), &head = matmul(shared);
  run();
  EXPECT_EQ(value(table, 0), expected(ElementType::u8, codes, zero_points));
  EXPECT_EQ(value(head, 1), expected(ElementType::u8, codes, zero_points));
}

TEST_F(Decompression, TableAndHeadMayHaveConvertsOfTheirOwn) {
  std::vector<float> codes{0, 1, 100, 255, 7, 8, 200, 33}, zero_points{128, 9};
  Value product = weight(ElementType::u8, codes, zero_points);
  Node &table = gather(convert(product, ElementType::f32)), &head = matmul(convert(product, ElementType::f32));
  run();
  EXPECT_EQ(value(table, 0), expected(ElementType::u8, codes, zero_points));
  EXPECT_EQ(value(head, 1), expected(ElementType::u8, codes, zero_points));
}

TEST_F(Decompression, HeadIsRoundedWhereTheTablesShapeIsAskedFor) {
  std::vector<float> codes{0, 1, 100, 255, 7, 8, 200, 33}, zero_points{128, 9};
  Value shared = marked(convert(weight(ElementType::u8, codes, zero_points), ElementType::f32));
  Node &table = gather(shared), &head = matmul(shared);
  reader(graph_.add("ShapeOf", {shared}));
  run();
  EXPECT_EQ(value(table, 0), expected(ElementType::u8, codes, zero_points));
  EXPECT_EQ(value(head, 1), rounded(expected(ElementType::u8, codes, zero_points)));
  EXPECT_EQ(head.input(1).type(), ElementType::f32);
}

TEST_F(Decompression, WithoutTheMarkNothingIsRounded) {
  std::vector<float> codes{0, 1, 100, 255, 7, 8, 200, 33}, zero_points{128, 9};
  Value shared = convert(weight(ElementType::u8, codes, zero_points), ElementType::f32);
  Node& head = matmul(shared);
  reader(graph_.add("ShapeOf", {shared}));
  run();
  EXPECT_EQ(value(head, 1), expected(ElementType::u8, codes, zero_points));
}

TEST_F(Decompression, FloatTablesAreRounded) {
  std::vector<float> codes{-1, -0.69619, -0.0911, 0, 0.1609, 0.4407, 0.72296, 1};
  Node& table = gather(marked(convert(weight(ElementType::f8e4m3, codes), ElementType::f32)));
  run();
  EXPECT_EQ(value(table, 0), rounded(expected(ElementType::f8e4m3, codes)));
}

TEST_F(Decompression, FoldedFloatLevelsAreRoundedBeforeTheyAreScaled) {
  std::vector<float> codes{-1, -0.69619, -0.0911, 0, 0.1609, 0.4407, 0.72296, 1};
  Value shared = marked(convert(weight(ElementType::nf4, codes), ElementType::f32));
  Node& layer = matmul(shared);
  reader(graph_.add("ShapeOf", {shared}));
  run();
  auto scaled = rounded(to_floats(packed(ElementType::nf4, {2, 4}, codes)));
  for (size_t i = 0; i < scaled.size(); ++i) scaled[i] = rounded(scaled[i] * rounded(scales_[i / 4]));
  EXPECT_EQ(value(layer, 1), scaled);
}

TEST_F(Decompression, NothingIsLeftBehind) {
  matmul(convert(weight(ElementType::u8, {0, 1, 100, 255, 7, 8, 200, 33}, {128, 9}), ElementType::f32));
  size_t before = graph_.nodes().size();
  decompress_in_f32(graph_);
  EXPECT_EQ(graph_.nodes().size(), before + 1);  // the scale, a constant in f16, takes a Convert
}

TEST_F(Decompression, ArithmeticInFloatIsLeftAlone) {
  Value codes = convert(graph_.add_constant(packed(ElementType::i8, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})).output(), ElementType::f32);
  Value scale = graph_.add_constant(Tensor::scalar(0.1f)).output();
  Node& layer = matmul(graph_.add("Multiply", {codes, scale}).output());
  size_t before = graph_.nodes().size();
  decompress_in_f32(graph_);
  EXPECT_EQ(graph_.nodes().size(), before);
  EXPECT_EQ(layer.input(1).node->input(0), codes);
}

TEST_F(Decompression, ArithmeticOnInputsIsLeftAlone) {
  Value x = graph_.add_parameter(ElementType::f16, {2, 4}, "x").output();
  Value y = graph_.add_constant(packed(ElementType::f16, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})).output();
  Node& product = reader(graph_.add("Multiply", {x, y}));
  decompress_in_f32(graph_);
  EXPECT_EQ(product.input(0), x);
  EXPECT_EQ(product.input(1), y);
  EXPECT_EQ(product.output_info().type, ElementType::f16);
}

TEST_F(Decompression, PlainHalfWeightsAreNotChanged) {
  Node& layer = matmul(convert(graph_.add_constant(packed(ElementType::f16, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})).output(), ElementType::f32));
  size_t before = graph_.nodes().size();
  decompress_in_f32(graph_);
  EXPECT_EQ(graph_.nodes().size(), before);
  EXPECT_TRUE(layer.input(1).node->is("Convert"));
}

}  // namespace
}  // namespace nibble
