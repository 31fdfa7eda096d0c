// Every constant and every layer that NNCF 3.4 made of one weight in one mode: tests/data/compress/single.json.
#include <fmt/format.h>

#include "compress/weight_compression.hpp"
#include "fixture.hpp"
#include "graph/op_set.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

using nlohmann::json;
using test::fnv1a;

/// Constant -> [Convert to f32], as exporters write weights.
Value weight_value(Graph& graph, const Tensor& weight) {
  Value value = graph.add_constant(weight, "w").output();
  if (weight.type() == ElementType::f32) return value;
  Node& convert = graph.add("Convert", {value}, {{"destination_type", "f32"}}, "w/decompressed");
  convert.rt_info().push_back({{"name", "decompression"}, {"version", "0"}});
  return convert.output();
}

Node& add_consumer(Graph& graph, const std::string& kind, Value weight, const Shape& shape) {
  if (kind == "gather") {
    Node& ids = graph.add_parameter(ElementType::i64, {kDynamic}, "ids");
    Node& axis = graph.add_constant(Tensor::scalar(int64_t{0}), "axis");
    return graph.add("Gather", {weight, ids.output(), axis.output()}, {{"batch_dims", "0"}}, "layer");
  }
  if (kind == "conv") {
    Node& x = graph.add_parameter(ElementType::f32, {1, shape[1], 8, 8}, "x");
    Attributes attributes{
        {"strides", "1, 1"}, {"dilations", "1, 1"}, {"pads_begin", "0, 0"}, {"pads_end", "0, 0"}, {"auto_pad", "explicit"}};
    return graph.add("Convolution", {x.output(), weight}, attributes, "layer");
  }
  bool transposed = !kind.ends_with("_nt");
  Shape input(shape.size(), kDynamic);
  input.back() = transposed ? shape.back() : shape[shape.size() - 2];
  if (shape.size() == 3) input[0] = shape[0];
  Node& x = graph.add_parameter(ElementType::f32, PartialShape(input), "x");
  return graph.add("MatMul", {x.output(), weight}, {{"transpose_a", "false"}, {"transpose_b", transposed ? "true" : "false"}}, "layer");
}

WeightCompression options_of(const json& test) {
  WeightCompression options{.mode = *parse_compress_weights_mode(test["mode"].get<std::string>())};
  if (is_int8(options.mode)) return options;
  options.group_size = test["group_size"].get<int64_t>();
  options.all_layers = true;
  options.ratio = 1.0;
  if (!test.contains("codebook")) return options;
  auto bytes = test["codebook"].get<std::vector<uint8_t>>();
  bool wide = test["id"].get<std::string>().find("codebook20") != std::string::npos;
  options.codebook = Tensor(wide ? ElementType::f16 : ElementType::i8, {static_cast<int64_t>(wide ? bytes.size() / 2 : bytes.size())});
  std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), options.codebook.mutable_data());
  return options;
}

void check_constant(const Node& node, const json& expected) {
  const ConstantValue& value = node.constant();
  EXPECT_EQ(to_string(value.type()), expected["type"].get<std::string>()) << node.name();
  EXPECT_EQ(value.shape(), expected["shape"].get<Shape>()) << node.name();
  EXPECT_EQ(fnv1a(value.tensor().bytes()), expected["fnv1a"].get<std::string>()) << node.name();
  if (!value.is_lazy()) return;
  auto sliced = test::produce_in_slices(*value.source(), 8);
  EXPECT_EQ(fnv1a(sliced[value.output()]), expected["fnv1a"].get<std::string>()) << node.name() << " in slices";
}

/// `pattern` has "{w}" first, for the name of the weight, and at most one "*".
bool name_fits(const std::string& name, const std::string& text) {
  std::string pattern = text.starts_with("{w}") ? fmt::format("w{}", text.substr(3)) : text;
  size_t star = pattern.find('*');
  if (star == std::string::npos) return name == pattern;
  return name.starts_with(pattern.substr(0, star)) && name.ends_with(pattern.substr(star + 1));
}

/// Compares the layers above `node` with entry `index` of a template of NNCF's.
void check_layers(const Node& node, const json& layers, const json& shapes, size_t index) {
  const json& layer = layers[index];
  EXPECT_EQ(ir_type_name(node.type()), layer["op"].get<std::string>()) << node.name();
  EXPECT_EQ(node.opset(), layer["opset"].get<std::string>()) << node.name();
  EXPECT_TRUE(name_fits(node.name(), layer["name"])) << node.name() << " is not " << layer["name"];
  EXPECT_EQ(to_precision(node.output_info().type), layer["out"].get<std::string>()) << node.name();
  EXPECT_EQ(node.output_info().shape, PartialShape(shapes[index].get<Shape>())) << node.name();
  for (const auto& [name, value] : layer["attrs"].items())
    if (layer["op"] != "Const") {
      EXPECT_EQ(node.attributes().get_string(name), value.get<std::string>()) << node.name();
    }
  EXPECT_EQ(node.rt_info().size(), layer.contains("rt_info") ? layer["rt_info"].size() : 0) << node.name();
  ASSERT_EQ(node.input_count(), layer["inputs"].size()) << node.name();
  for (size_t i = 0; i < node.input_count(); ++i) check_layers(*node.input(i).node, layers, shapes, layer["inputs"][i]);
}

const std::map<std::string, std::string> kConstantNames{
    {"scale", "w/scale"}, {"zero_point", "w/zero_point"}, {"second_order_scale", "w/second_order_scale"}};

void check_constants(const Graph& graph, const json& expected) {
  std::map<std::string, const Node*> constants;
  for (Node* node : graph.of_type("Constant")) constants[node->name()] = node;
  for (const auto& [key, constant] : expected.items()) {
    std::string name = kConstantNames.count(key) ? kConstantNames.at(key) : "w";
    if (key == "q" && expected.contains("codebook")) name = "w_nncf_codebook_idxs";
    ASSERT_TRUE(constants.count(name)) << name;
    check_constant(*constants.at(name), constant);
  }
}

ErrorKind kind_of(const std::string& nncf) {
  return nncf == "UnsupportedModelError" ? ErrorKind::unsupported : ErrorKind::invalid_argument;
}

void check_case(const json& test, const json& graphs, Context& context) {
  Graph graph;
  Tensor weight = test::fixture_weights().get(test["weight"].get<std::string>());
  Node& layer = add_consumer(graph, test["consumer"], weight_value(graph, weight), weight.shape());
  graph.add("Result", {layer.output()}, {}, "result");
  if (test.contains("error")) {
    try {
      compress_weights(graph, options_of(test), context);
      ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind_of(test["error"])) << error.what();
    }
    return;
  }
  compress_weights(graph, options_of(test), context);
  check_constants(graph, test["constants"]);
  const json& layers = graphs[test["graph"].get<size_t>()];
  size_t port = test["consumer"] == "gather" ? 0 : 1;
  check_layers(*layer.input(port).node, layers, test["shapes"], layers.size() - 1);
}

class SingleWeight : public testing::TestWithParam<const char*> {};

TEST_P(SingleWeight, EqualsNncf) {
  static const json data = test::read_json("single.json");
  Context context({.threads = 1, .log = {}});
  size_t cases = 0;
  for (const json& test : data["cases"]) {
    if (test["mode"] != GetParam()) continue;
    SCOPED_TRACE(test["id"].get<std::string>());
    check_case(test, data["graphs"], context);
    ++cases;
  }
  EXPECT_GT(cases, 0u);
  RecordProperty("cases", static_cast<int>(cases));
}

INSTANTIATE_TEST_SUITE_P(Modes, SingleWeight,
                         testing::Values("int8_asym", "int8_sym", "int4_asym", "int4_sym", "int3_sym", "int2_sym", "nf4", "mxfp4",
                                         "mxfp8_e4m3", "fp4", "fp8_e4m3", "nvfp4", "cb4", "codebook"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace nibble
