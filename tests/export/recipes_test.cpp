#include "export/recipes.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "expect_error.hpp"

namespace nibble {

using test::fails;
using testing::HasSubstr;

namespace {

/// x [?,columns] times `count` weights of [rows, columns], whose values are never made.
class NoValues : public ConstantSource {
 public:
  explicit NoValues(Shape shape) : shape_(std::move(shape)) {}
  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return ElementType::f16; }
  const Shape& shape(size_t) const override { return shape_; }
  int64_t rows() const override { return shape_[0]; }
  void produce(int64_t, int64_t, std::span<const std::span<std::byte>>) const override { FAIL() << "a recipe needs no values"; }

 private:
  Shape shape_;
};

Graph model(int64_t count, int64_t rows, int64_t columns) {
  Graph graph;
  Value x = graph.add_parameter(ElementType::f32, {kDynamic, columns}, "x").output();
  for (int64_t i = 0; i < count; ++i) {
    Node& weight = graph.add_constant(ConstantValue(std::make_shared<NoValues>(Shape{rows, columns}), 0), fmt::format("w{}", i));
    Value wide = graph.add("Convert", {weight.output()}, {{"destination_type", "f32"}}).output();
    graph.add("Result", {graph.add("MatMul", {x, wide}, {{"transpose_a", "false"}, {"transpose_b", "true"}}).output()});
  }
  return graph;
}

Recipe recipe(const std::string& target, const Graph& graph) {
  WeightOptions options;
  options.target = target;
  return recipe_for(options, graph);
}

}  // namespace

TEST(Recipes, SmallModelsGetSymmetricGroupsOf128OnTheNpu) {
  Recipe small = recipe("npu", model(4, 1024, 2048));
  EXPECT_EQ(small.equivalent, "--weight-format int4 --sym --ratio 1.0 --group-size 128");
  EXPECT_EQ(small.options.weight_format, "int4");
  EXPECT_TRUE(small.options.sym);
  EXPECT_EQ(small.options.group_size, 128);
  EXPECT_EQ(small.options.ratio, 1.0);
}

TEST(Recipes, LargeModelsGetAScalePerChannelOnTheNpu) {
  Recipe large = recipe("npu", model(3, 100000, 16384));
  EXPECT_EQ(large.options.group_size, -1);
  EXPECT_THAT(large.reasons.back(), HasSubstr("4.9 billion"));
}

TEST(Recipes, RowsWithoutWholeGroupsGetAScalePerChannelOnTheNpu) { EXPECT_EQ(recipe("npu", model(4, 1024, 576)).options.group_size, -1); }

TEST(Recipes, TheCpuGetsAsymmetricGroups) {
  Recipe cpu = recipe("cpu", model(4, 1024, 2048));
  EXPECT_FALSE(cpu.options.sym);
  EXPECT_EQ(cpu.options.group_size, 64);
  EXPECT_FALSE(cpu.reasons.empty());
}

TEST(Recipes, TheGpuGetsSymmetricGroups) { EXPECT_TRUE(recipe("gpu", model(4, 1024, 2048)).options.sym); }

TEST(Recipes, MethodsAndDataStay) {
  WeightOptions options;
  options.target = "npu";
  options.awq = true;
  options.dataset = "auto";
  Recipe result = recipe_for(options, model(1, 128, 128));
  EXPECT_TRUE(result.options.awq);
  EXPECT_EQ(result.options.dataset, "auto");
}

TEST(Recipes, ContradictionsAndUnknownDevicesAreRefused) {
  WeightOptions options;
  options.target = "npu";
  options.group_size = 64;
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"--for npu", "group size"}, [&] { recipe_for(options, model(1, 128, 128)); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"tpu", "cpu, gpu and npu"}, [] { recipe("tpu", model(1, 128, 128)); }));
}

}  // namespace nibble
