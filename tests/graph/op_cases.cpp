#include "graph/op_cases.hpp"

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/thread_pool.hpp"
#include "graph/op_set.hpp"
#include "tensor/convert.hpp"

namespace nibble::test {

namespace {

float read_float(const nlohmann::json& value) {
  if (!value.is_string()) return value.get<float>();
  std::string text = value.get<std::string>();
  if (text == "nan") return std::numeric_limits<float>::quiet_NaN();
  return text == "inf" ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
}

Tensor read_tensor(const nlohmann::json& json) {
  ElementType type = parse_element_type(json.at("type").get<std::string>()).value();
  Tensor out(type, json.at("shape").get<Shape>());
  const auto& values = json.at("values");
  if (is_float(type)) {
    std::vector<float> floats;
    for (const auto& value : values) floats.push_back(read_float(value));
    pack_from_float(type, floats, out.mutable_data(), 0);
  } else {
    std::vector<int64_t> integers;
    for (const auto& value : values) integers.push_back(value.is_boolean() ? value.get<bool>() : value.get<int64_t>());
    pack_from_int64(type, integers, out.mutable_data(), 0);
  }
  return out;
}

OpCase read_case(const nlohmann::json& json) {
  OpCase op_case{json.at("name"), json.at("type"), json.at("opset"), {}, {}, {}};
  for (const auto& [name, value] : json.at("attributes").items()) op_case.attributes.set(name, value.get<std::string>());
  for (const auto& input : json.at("inputs")) op_case.inputs.push_back({read_tensor(input), input.contains("constant")});
  for (const auto& output : json.at("outputs")) op_case.outputs.push_back(read_tensor(output));
  return op_case;
}

PartialShape known_shape(const Shape& shape, Known known) {
  if (known == Known::nothing) return {};
  return known == Known::ranks ? PartialShape::of_rank(shape.size()) : PartialShape(shape);
}

/// The reference computes transcendental functions by polynomials of about f32's precision.
double tolerance(ElementType type) { return type == ElementType::f16 ? 1e-3 : type == ElementType::bf16 ? 8e-3 : 1e-5; }

}  // namespace

void PrintTo(const OpCase& op_case, std::ostream* stream) { *stream << op_case.type << " (" << op_case.opset << ")"; }

std::vector<OpCase> load_cases(const std::string& file) {
  std::ifstream stream(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/graph/" + file);
  std::vector<OpCase> cases;
  for (const auto& json : nlohmann::json::parse(stream)) cases.push_back(read_case(json));
  return cases;
}

std::string case_name(const testing::TestParamInfo<OpCase>& info) { return info.param.name; }

Node& build_case(Graph& graph, const OpCase& op_case, Known known) {
  std::vector<Value> inputs;
  for (const auto& input : op_case.inputs) {
    std::string name = "input_" + std::to_string(inputs.size());
    Node& node = input.constant ? graph.add_constant(input.value, name)
                                : graph.add_parameter(input.value.type(), known_shape(input.value.shape(), known), name);
    inputs.push_back(node.output());
  }
  return graph.add(op_case.type, inputs, op_case.attributes, "operation", op_case.opset);
}

std::vector<Tensor> evaluate(const Node& node, const std::vector<Tensor>& inputs, int threads) {
  ThreadPool pool(threads);
  std::vector<Tensor> outputs(node.output_count());
  EvalContext context{node, inputs, outputs, pool};
  node.op().evaluate(context);
  return outputs;
}

std::vector<Tensor> evaluate(const Node& node, const OpCase& op_case, int threads) {
  std::vector<Tensor> inputs;
  for (const auto& input : op_case.inputs) inputs.push_back(input.value);
  return evaluate(node, inputs, threads);
}

std::vector<Tensor> run_op(std::string_view type, const std::vector<Tensor>& inputs, Attributes attributes) {
  Graph graph;
  std::vector<Value> values;
  for (const Tensor& input : inputs)
    values.push_back(graph.add_parameter(input.type(), input.shape(), "input_" + std::to_string(values.size())).output());
  return evaluate(graph.add(type, values, std::move(attributes)), inputs);
}

bool agrees(const OutputInfo& inferred, const Tensor& actual) {
  if (inferred.type != actual.type()) return false;
  if (!inferred.shape.rank_is_known()) return true;
  if (inferred.shape.rank() != actual.rank()) return false;
  for (size_t i = 0; i < actual.rank(); ++i)
    if (inferred.shape[i] >= 0 && inferred.shape[i] != actual.shape()[i]) return false;
  return true;
}

void expect_close(const Tensor& actual, const Tensor& expected) {
  ASSERT_EQ(actual.type(), expected.type());
  ASSERT_EQ(actual.shape(), expected.shape());
  if (!is_float(expected.type())) {
    EXPECT_EQ(to_int64s(actual), to_int64s(expected));
    return;
  }
  std::vector<float> got = to_floats(actual), want = to_floats(expected);
  double relative = tolerance(expected.type());
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i]) || std::isinf(want[i])) {
      EXPECT_TRUE(got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]))) << "at " << i << ": " << got[i] << ", not " << want[i];
    } else {
      EXPECT_NEAR(got[i], want[i], relative * (0.1 + std::fabs(want[i]))) << "at " << i;
    }
  }
}

void check_case(const OpCase& op_case) {
  for (Known known : {Known::shapes, Known::ranks, Known::nothing}) {
    Graph graph;
    Node& node = build_case(graph, op_case, known);
    ASSERT_EQ(node.output_count(), op_case.outputs.size());
    for (size_t i = 0; i < op_case.outputs.size(); ++i)
      EXPECT_TRUE(agrees(node.output_info(i), op_case.outputs[i]))
          << "inferred " << to_string(node.output_info(i).type) << " [" << to_string(node.output_info(i).shape) << "]";
    if (known != Known::shapes) continue;
    std::vector<Tensor> outputs = evaluate(node, op_case);
    for (size_t i = 0; i < outputs.size(); ++i) expect_close(outputs[i], op_case.outputs[i]);
  }
}

}  // namespace nibble::test
