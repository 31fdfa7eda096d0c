#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>

#include "graph/op_cases.hpp"
#include "graph/op_set.hpp"
#include "nibble/error.hpp"
#include "tensor/convert.hpp"

namespace nibble::test {
namespace {

// Values that only running reveals: each must end in an Error, never in a crash or a huge allocation.

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

Tensor list(std::vector<int64_t> values) { return Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values); }
Tensor scalar(int64_t value) { return Tensor::scalar<int64_t>(value); }
Tensor floats(Shape shape) { return Tensor(ElementType::f32, std::move(shape)); }

/// Runs an operation whose inputs are all Parameters, so that inference cannot refuse the values.
void expect_refused(std::string_view type, const std::vector<Tensor>& inputs, Attributes attributes = {}) {
  EXPECT_THROW(run_op(type, inputs, std::move(attributes)), Error) << type;
}

TEST(HostileValues, IndicesOutOfRange) {
  for (int64_t index : {int64_t{3}, int64_t{-4}, kMax, kMin}) {
    expect_refused("Gather", {floats({3, 2}), list({index}), scalar(0)});
    expect_refused("GatherElements", {floats({3}), list({index})}, {{"axis", "0"}});
    expect_refused("GatherND", {floats({3, 2}), Tensor::from<int64_t>({1, 1}, std::vector{index})});
    expect_refused("ScatterUpdate", {floats({3, 2}), list({index}), floats({1, 2}), scalar(0)});
    expect_refused("ScatterNDUpdate", {floats({3, 2}), Tensor::from<int64_t>({1, 1}, std::vector{index}), floats({1, 2})});
    expect_refused("ScatterElementsUpdate", {floats({3}), list({index}), floats({1}), scalar(0)});
  }
}

TEST(HostileValues, AxesOutOfRange) {
  for (int64_t axis : {int64_t{2}, int64_t{-3}, kMax, kMin}) {
    expect_refused("Gather", {floats({3, 2}), list({0}), scalar(axis)});
    expect_refused("Split", {floats({2, 2}), scalar(axis)}, {{"num_splits", "2"}});
    expect_refused("Transpose", {floats({2, 2}), list({0, axis})});
    expect_refused("Squeeze", {floats({1, 1}), list({axis})});
    expect_refused("Slice", {floats({2, 2}), list({0}), list({1}), list({1}), list({axis})});
    expect_refused("Roll", {floats({2, 2}), list({1}), list({axis})});
    expect_refused("ScatterUpdate", {floats({3, 2}), list({0}), floats({1, 2}), scalar(axis)});
  }
  expect_refused("Unsqueeze", {floats({2}), list({kMin})});
  expect_refused("Unsqueeze", {floats({2}), list({0, 0})});
}

TEST(HostileValues, ShapesThatCannotBe) {
  for (int64_t dim : {int64_t{-1}, kMin}) {
    expect_refused("Broadcast", {floats({1}), list({dim})}, {{"mode", "numpy"}});
    expect_refused("Tile", {floats({1}), list({dim})});
  }
  expect_refused("Reshape", {floats({6}), list({-1, -1})}, {{"special_zero", "false"}});
  expect_refused("Reshape", {floats({6}), list({-2, 3})}, {{"special_zero", "false"}});
  expect_refused("Reshape", {floats({6}), list({4, -1})}, {{"special_zero", "false"}});
  expect_refused("Reshape", {floats({6}), list({6, 0})}, {{"special_zero", "true"}});
  expect_refused("Reshape", {floats({6}), list({kMax, kMax})}, {{"special_zero", "false"}});
  expect_refused("Broadcast", {floats({3}), list({4})}, {{"mode", "numpy"}});
  expect_refused("Pad", {floats({3}), list({-2}), list({-2})}, {{"pad_mode", "constant"}});
  expect_refused("Pad", {floats({3}), list({3}), list({0})}, {{"pad_mode", "reflect"}});
  expect_refused("Pad", {floats({0}), list({1}), list({0})}, {{"pad_mode", "edge"}});
}

TEST(HostileValues, ResultsThatAreTooLarge) {
  for (int64_t dim : {kMax, int64_t{1} << 40}) {
    expect_refused("Broadcast", {floats({1}), list({dim, 2})}, {{"mode", "numpy"}});
    expect_refused("Tile", {floats({1, 1}), list({dim, dim})});
    expect_refused("Range", {scalar(0), scalar(dim), scalar(1)}, {{"output_type", "i64"}});
    expect_refused("Pad", {floats({3}), list({dim}), list({dim})}, {{"pad_mode", "constant"}});
    expect_refused("Eye", {scalar(dim), scalar(dim), scalar(0)}, {{"output_type", "f32"}});
    expect_refused("OneHot", {list({1}), scalar(dim), scalar(1), scalar(0)}, {{"axis", "-1"}});
    expect_refused("Interpolate", {floats({1, 1, 2, 2}), list({dim}), list({2})},
                   {{"mode", "nearest"}, {"shape_calculation_mode", "sizes"}});
    expect_refused("AdaptiveAvgPool", {floats({1, 1, 2}), list({dim})});
  }
}

/// Only what lies inside the data costs time.
TEST(HostileValues, HugeWindowsAreCheap) {
  Attributes attributes{{"kernel", "2000000000, 2000000000"}, {"strides", "1, 1"},        {"pads_begin", "1000000000, 1000000000"},
                        {"pads_end", "999999997, 999999997"}, {"rounding_type", "floor"}, {"exclude-pad", "false"}};
  EXPECT_EQ(run_op("AvgPool", {floats({1, 1, 3, 3})}, attributes)[0].shape(), (Shape{1, 1, 1, 1}));
  EXPECT_EQ(run_op("MaxPool", {floats({1, 1, 3, 3})}, attributes)[0].shape(), (Shape{1, 1, 1, 1}));
}

TEST(HostileValues, PoolingOfPaddingAlone) {
  Attributes attributes{{"kernel", "2"}, {"strides", "1"}, {"pads_begin", "1"}, {"pads_end", "1"}, {"axis", "2"}, {"exclude-pad", "true"}};
  EXPECT_EQ(run_op("MaxPool", {floats({1, 1, 0})}, attributes)[0].shape(), (Shape{1, 1, 1}));
  EXPECT_EQ(to_floats(run_op("AvgPool", {floats({1, 1, 0})}, attributes)[0]), std::vector<float>{0});
}

TEST(HostileValues, RangesWithoutEnd) {
  expect_refused("Range", {scalar(0), scalar(5), scalar(0)}, {{"output_type", "i64"}});
  expect_refused("Range", {scalar(kMin), scalar(kMax), scalar(1)}, {{"output_type", "i64"}});
  Tensor zero = Tensor::scalar<float>(0), infinity = Tensor::scalar<float>(std::numeric_limits<float>::infinity());
  expect_refused("Range", {zero, infinity, Tensor::scalar<float>(1)}, {{"output_type", "f32"}});
  expect_refused("Range", {zero, Tensor::scalar<float>(1), zero}, {{"output_type", "f32"}});
}

TEST(HostileValues, LengthsThatDoNotAddUp) {
  expect_refused("Split", {floats({5}), scalar(0)}, {{"num_splits", "2"}});
  expect_refused("VariadicSplit", {floats({5}), scalar(0), list({2, 2})});
  expect_refused("VariadicSplit", {floats({5}), scalar(0), list({6, -1})});
  expect_refused("VariadicSplit", {floats({5}), scalar(0), list({-1, -1})});
  expect_refused("VariadicSplit", {floats({5}), scalar(0), list({kMax, kMax})});
  expect_refused("ReverseSequence", {floats({2, 3}), list({1, 4})}, {{"batch_axis", "0"}, {"seq_axis", "1"}});
  expect_refused("ReverseSequence", {floats({2, 3}), list({1, -1})}, {{"batch_axis", "0"}, {"seq_axis", "1"}});
}

TEST(HostileValues, SlicesWithoutStep) {
  expect_refused("Slice", {floats({4}), list({0}), list({2}), list({0})});
  expect_refused("StridedSlice", {floats({4}), list({0}), list({2}), list({0})}, {{"begin_mask", "0"}, {"end_mask", "0"}});
  expect_refused("StridedSlice", {floats({4}), list({9}), list({10}), list({1})},
                 {{"begin_mask", "0"}, {"end_mask", "0"}, {"shrink_axis_mask", "1"}});
}

TEST(HostileValues, ExtremeSlicesAreClipped) {
  std::vector<int64_t> extremes{kMin, kMin + 1, -1, 0, 1, kMax};
  for (int64_t start : extremes)
    for (int64_t stop : extremes)
      for (int64_t step : {kMin, int64_t{-1}, int64_t{1}, kMax}) {
        auto out = run_op("Slice", {floats({4}), list({start}), list({stop}), list({step})});
        EXPECT_LE(out[0].size(), 4u);
      }
}

TEST(HostileValues, ContradictoryShapesAreRefusedByInference) {
  Graph graph;
  Value a = graph.add_parameter(ElementType::f32, {2, 3}, "a").output();
  Value b = graph.add_parameter(ElementType::f32, {4, 4}, "b").output();
  Value huge = graph.add_parameter(ElementType::f32, {kMax, kMax}, "huge").output();
  auto constant = [&](Tensor tensor) { return graph.add_constant(std::move(tensor)).output(); };
  EXPECT_THROW(graph.add("Concat", {a, b}, {{"axis", "0"}}), Error);
  EXPECT_THROW(graph.add("Concat", {huge, huge}, {{"axis", "0"}}), Error);
  EXPECT_THROW(graph.add("Reshape", {huge, constant(list({-1}))}, {{"special_zero", "true"}}), Error);
  EXPECT_THROW(graph.add("Transpose", {a, constant(list({0, 0}))}), Error);
  EXPECT_THROW(graph.add("Split", {a, constant(scalar(1))}, {{"num_splits", "9223372036854775807"}}), Error);
  EXPECT_THROW(graph.add("Gather", {a, b, constant(scalar(5))}), Error);
  EXPECT_THROW(graph.add("Convolution", {a, b}), Error);
  EXPECT_THROW(graph.add("Tile", {huge, constant(list({2, 2}))}), Error);
}

/// Random small inputs to every operation that moves data: any outcome but a result or an Error would end the test.
TEST(HostileValues, RandomInputsGiveResultsOrErrors) {
  std::mt19937_64 random(11);
  auto pick = [&](int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random); };
  auto tensor = [&] {
    Shape shape;
    for (int64_t i = pick(0, 3); i > 0; --i) shape.push_back(pick(0, 3));
    std::vector<int64_t> values(element_count(shape));
    for (int64_t& value : values) value = pick(0, 20) == 0 ? (pick(0, 1) ? kMax : kMin) : pick(-3, 4);
    return convert(Tensor::from<int64_t>(shape, values), pick(0, 3) ? ElementType::i64 : pick(0, 1) ? ElementType::f32 : ElementType::u4);
  };
  const std::vector<std::string_view> kSkipped{"Parameter", "Constant", "Result", "ReadValue", "Assign"};
  size_t results = 0;
  for (const OpDef* op : all_ops()) {
    if (!op->evaluate || std::count(kSkipped.begin(), kSkipped.end(), op->type)) continue;
    for (int round = 0; round < 300; ++round) {
      std::vector<Tensor> inputs;
      int most = op->max_inputs < 0 ? 3 : op->max_inputs;
      for (int64_t i = pick(op->min_inputs, most); i > 0; --i) inputs.push_back(tensor());
      Attributes attributes{{"axis", std::to_string(pick(-2, 2))}, {"num_splits", std::to_string(pick(1, 3))}, {"mode", "blocks_first"}};
      try {
        results += run_op(op->type, inputs, attributes).size();
      } catch (const Error&) {}
    }
  }
  EXPECT_GT(results, 1000u);
}

/// Breaks a working case in one place: a value, a shape or an attribute.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  void mutate(OpCase& op) {
    if (pick(3) == 0 && !op.attributes.entries().empty()) return mutate_attribute(op.attributes);
    Tensor& value = op.inputs[pick(op.inputs.size())].value;
    if (pick(3) == 0)
      value = random_shape(value.type());
    else if (is_integer(value.type()) && value.size() > 0)
      value = with_extreme(value);
  }

 private:
  size_t pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random_); }
  int64_t extreme() {
    constexpr std::array<int64_t, 9> kValues{kMin, -5, -1, 0, 1, 3, 100, int64_t{1} << 33, kMax};
    return kValues[pick(kValues.size())];
  }
  Tensor with_extreme(const Tensor& tensor) {
    std::vector<int64_t> values = to_int64s(tensor);
    values[pick(values.size())] = extreme();
    return convert(Tensor::from<int64_t>(tensor.shape(), values), tensor.type());
  }
  Tensor random_shape(ElementType type) {
    Shape shape;
    for (size_t i = pick(5); i > 0; --i) shape.push_back(static_cast<int64_t>(pick(4)));
    return Tensor(type, shape);
  }
  void mutate_attribute(Attributes& attributes) {
    auto [name, text] = attributes.entries()[pick(attributes.entries().size())];
    size_t digit = text.find_first_of("0123456789");
    if (digit == std::string::npos) return attributes.set(name, "nonsense");
    size_t end = text.find_first_not_of("0123456789", digit);
    attributes.set(name, text.replace(digit, end == std::string::npos ? end : end - digit, std::to_string(extreme())));
  }

  std::mt19937_64 random_;
};

class BrokenCases : public testing::TestWithParam<const char*> {};

TEST_P(BrokenCases, GiveResultsOrErrors) {
  Mutator mutator(5);
  size_t refused = 0;
  for (const OpCase& op : load_cases(GetParam()))
    for (int round = 0; round < 40; ++round) {
      OpCase broken = op;
      mutator.mutate(broken);
      if (round % 2)
        for (auto& input : broken.inputs) input.constant = false;
      try {
        Graph graph;
        evaluate(build_case(graph, broken, Known::shapes), broken);
      } catch (const Error&) {
        ++refused;
      }
    }
  EXPECT_GT(refused, 100u);
}

INSTANTIATE_TEST_SUITE_P(Files, BrokenCases, testing::Values("shape_cases.json", "movement_cases.json", "vision_cases.json"),
                         [](const auto& test) { return std::string(test.param, std::string_view(test.param).find('_')); });

}  // namespace
}  // namespace nibble::test
