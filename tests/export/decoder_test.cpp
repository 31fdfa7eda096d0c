#include "export/decoder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "expect_error.hpp"
#include "export/checkpoint_graph.hpp"
#include "ir/reader.hpp"
#include "tiny_checkpoint.hpp"

namespace nibble {

using test::fails;
using test::TinyCheckpoint;

namespace {

using nlohmann::json;

std::string data(std::string_view name) { return std::string(NIBBLE_SOURCE_DIR) + "/tests/data/" + std::string(name); }

Graph build(const TinyCheckpoint& checkpoint, FloatFormat format = FloatFormat::stored) {
  return build_checkpoint_graph(checkpoint.path(), format);
}

Node* find(const Graph& graph, std::string_view name) {
  for (const auto& node : graph.nodes())
    if (node->name() == name) return node.get();
  return nullptr;
}

size_t count(const Graph& graph, std::string_view type, std::string_view part) {
  auto nodes = graph.of_type(type);
  return static_cast<size_t>(
      std::count_if(nodes.begin(), nodes.end(), [&](const Node* n) { return n->name().find(part) != std::string::npos; }));
}

std::vector<std::string> sorted_names(const Graph& graph, std::string_view type) {
  std::vector<std::string> names;
  for (Node* node : graph.of_type(type)) names.push_back(node->name());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> states(const Graph& graph, std::string_view type) {
  std::vector<std::string> found;
  for (Node* node : graph.of_type(type)) {
    const Attributes& a = node->attributes();
    std::string text = a.get_string("variable_id");
    if (type == "ReadValue") text += " " + a.get_string("variable_type") + " " + a.get_string("variable_shape");
    found.push_back(text);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string port(const Node& node) {
  const OutputInfo& info = node.output_info();
  return *info.names.begin() + " " + std::string(to_string(info.type)) + " " + to_string(info.shape);
}

TEST(Decoder, TakesTheInputsOfAStatefulModelInOrder) {
  TinyCheckpoint checkpoint;
  Graph graph = build(checkpoint);
  std::vector<std::string> inputs;
  for (Node* node : graph.parameters()) inputs.push_back(port(*node));
  EXPECT_EQ(inputs, (std::vector<std::string>{"input_ids i64 ?,?", "attention_mask i64 ?,?", "position_ids i64 ?,?", "beam_idx i32 ?"}));
}

TEST(Decoder, GivesLogitsOnly) {
  TinyCheckpoint checkpoint;
  Graph graph = build(checkpoint);
  auto results = graph.results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(graph.find_result("logits"), results[0]);
  EXPECT_EQ(results[0]->output_info().type, ElementType::f32);
  EXPECT_EQ(to_string(results[0]->output_info().shape), "?,?,50");
}

TEST(Decoder, KeepsKeysAndValuesOfEachLayerInVariables) {
  TinyCheckpoint checkpoint;
  Graph graph = build(checkpoint);
  EXPECT_EQ(
      states(graph, "ReadValue"),
      (std::vector<std::string>{"past_key_values.0.keypresent.0.key f32 ?,2,?,16", "past_key_values.0.valuepresent.0.value f32 ?,2,?,16",
                                "past_key_values.1.keypresent.1.key f32 ?,2,?,16", "past_key_values.1.valuepresent.1.value f32 ?,2,?,16"}));
  EXPECT_EQ(states(graph, "Assign"),
            (std::vector<std::string>{"past_key_values.0.keypresent.0.key", "past_key_values.0.valuepresent.0.value",
                                      "past_key_values.1.keypresent.1.key", "past_key_values.1.valuepresent.1.value"}));
}

TEST(Decoder, StatesAreReorderedByBeamIdx) {
  TinyCheckpoint checkpoint;
  Graph graph = build(checkpoint);
  for (Node* state : graph.of_type("ReadValue")) {
    auto uses = state->uses();
    ASSERT_EQ(uses.size(), 1u);
    ASSERT_TRUE(uses[0].node->is("Gather"));
    EXPECT_EQ(uses[0].node->input(1).node, graph.find_parameter("beam_idx"));
  }
}

TEST(Decoder, InterfaceIsThatOfOptimumsExportOfTheSameCheckpoint) {
  Graph ours = build_checkpoint_graph(data("models/llama-gqa"), FloatFormat::stored);
  Graph theirs = read_ir(data("ir/llama-gqa-int4-sym-g32/openvino_model.xml"));
  EXPECT_EQ(states(ours, "ReadValue"), states(theirs, "ReadValue"));
  EXPECT_EQ(states(ours, "Assign"), states(theirs, "Assign"));
  for (Node* parameter : theirs.parameters()) {
    Node* mine = ours.find_parameter(*parameter->output_info().names.begin());
    ASSERT_NE(mine, nullptr);
    EXPECT_EQ(port(*mine), port(*parameter));
  }
  EXPECT_EQ(ours.parameters().size(), theirs.parameters().size());
}

TEST(Decoder, LayersThatCompressionSelectsByNameAreCalledAsInOptimumsExport) {
  Graph ours = build_checkpoint_graph(data("models/llama-gqa"), FloatFormat::stored);
  Graph theirs = read_ir(data("ir/llama-gqa-int4-sym-g32/openvino_model.xml"));
  EXPECT_EQ(sorted_names(ours, "MatMul"), sorted_names(theirs, "MatMul"));
  EXPECT_EQ(sorted_names(ours, "ScaledDotProductAttention"), sorted_names(theirs, "ScaledDotProductAttention"));
  EXPECT_EQ(count(ours, "Gather", "ov_ext::embedding"), count(theirs, "Gather", "ov_ext::embedding"));
}

TEST(Decoder, NodeNamesAreUnique) {
  TinyCheckpoint checkpoint;
  Graph graph = build(checkpoint);
  std::vector<std::string> names;
  for (const auto& node : graph.nodes()) names.push_back(node->name());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(Decoder, HalfWeightsAreConstantsMarkedForDecompression) {
  TinyCheckpoint checkpoint;
  Graph graph = build(checkpoint);
  Node* weight = find(graph, "self.model.layers.0.self_attn.q_proj._openvino_orig_weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->output_info().type, ElementType::f16);
  EXPECT_EQ(to_string(weight->output_info().shape), "64,64");
  Node* convert = find(graph, "__module.model.layers.0.self_attn.q_proj/ov_ext::linear/Convert");
  ASSERT_NE(convert, nullptr);
  EXPECT_EQ(convert->input(0).node, weight);
  EXPECT_EQ(convert->rt_info(), (std::vector<RtAttribute>{{{"name", "decompression"}, {"version", "0"}}}));
  EXPECT_NE(find(graph, "__module.model.layers.0.self_attn.q_proj/ov_ext::linear/MatMul"), nullptr);
}

TEST(Decoder, FloatWeightsNeedNoDecompression) {
  TinyCheckpoint checkpoint;
  Graph graph = build(checkpoint, FloatFormat::f32);
  Node* weight = find(graph, "self.model.layers.0.self_attn.q_proj.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->output_info().type, ElementType::f32);
  Node* linear = find(graph, "__module.model.layers.0.self_attn.q_proj/aten::linear/MatMul");
  ASSERT_NE(linear, nullptr);
  EXPECT_EQ(linear->input(1).node, weight);
}

struct Types {
  ElementType stored;
  FloatFormat format;
  ElementType expected;
};

class WeightTypes : public testing::TestWithParam<Types> {};

TEST_P(WeightTypes, AreAsAskedFor) {
  TinyCheckpoint checkpoint({}, GetParam().stored);
  Graph graph = build(checkpoint, GetParam().format);
  size_t matrices = 0;
  for (Node* node : graph.of_type("Constant"))
    if (node->name().starts_with("self.")) {
      EXPECT_EQ(node->output_info().type, GetParam().expected) << node->name();
      ++matrices;
    }
  EXPECT_EQ(matrices, 16u);  // 7 in each of 2 layers, embedding, head
}

INSTANTIATE_TEST_SUITE_P(All, WeightTypes,
                         testing::Values(Types{ElementType::f32, FloatFormat::stored, ElementType::f32},
                                         Types{ElementType::f16, FloatFormat::stored, ElementType::f16},
                                         Types{ElementType::bf16, FloatFormat::stored, ElementType::bf16},
                                         Types{ElementType::f64, FloatFormat::stored, ElementType::f32},
                                         Types{ElementType::f8e4m3, FloatFormat::stored, ElementType::f16},
                                         Types{ElementType::bf16, FloatFormat::f32, ElementType::f32},
                                         Types{ElementType::bf16, FloatFormat::f16, ElementType::f16},
                                         Types{ElementType::f32, FloatFormat::f16, ElementType::f16}),
                         [](const auto& test) {
                           return fmt::format("{}_as_{}", to_string(test.param.stored), to_string(test.param.expected));
                         });

TEST(Decoder, ConversionToHalfSaturatesAndDropsWhatIsTooSmall) {
  TinyCheckpoint checkpoint({}, ElementType::f32, [](test::Tensors& tensors) {
    auto values = tensors["model.embed_tokens.weight"].as_mutable<float>();
    values[0] = 1e6f, values[1] = -1e6f, values[2] = 1e-8f, values[3] = 0x1p-24f, values[4] = 0.1f;
  });
  Graph graph = build(checkpoint, FloatFormat::f16);
  auto half = to_floats(find(graph, "self.model.embed_tokens._openvino_orig_weight")->constant().tensor());
  EXPECT_EQ((std::vector<float>(half.begin(), half.begin() + 5)),
            (std::vector<float>{65504.0f, -65504.0f, 0.0f, 0x1p-24f, 0.0999755859375f}));
}

TEST(Decoder, LazyConversionGivesTheSameInSlices) {
  TinyCheckpoint checkpoint({}, ElementType::bf16);
  Graph graph = build(checkpoint, FloatFormat::f32);
  const ConstantValue& weight = find(graph, "self.model.layers.1.mlp.down_proj.weight")->constant();
  ASSERT_TRUE(weight.is_lazy());
  Tensor whole = weight.tensor(), slice(ElementType::f32, {16, 96});
  std::span<std::byte> out(slice.mutable_data(), slice.byte_size());
  weight.source()->produce(8, 24, std::span(&out, 1));
  EXPECT_TRUE(std::equal(slice.bytes().begin(), slice.bytes().end(), whole.bytes().begin() + 8 * 96 * 4));
}

TEST(Decoder, KeyValueHeadsAreRepeatedForGroupedQueries) {
  TinyCheckpoint grouped, single(json{{"num_key_value_heads", 1}});
  EXPECT_EQ(count(build(grouped), "Broadcast", "self_attn/aten::expand"), 4u);
  EXPECT_EQ(count(build(single), "Broadcast", "self_attn/aten::expand"), 4u);
}

TEST(Decoder, NothingIsRepeatedWhereEveryHeadHasItsOwnKeys) {
  TinyCheckpoint checkpoint(json{{"num_key_value_heads", 4}});
  EXPECT_EQ(count(build(checkpoint), "Broadcast", "self_attn/aten::expand"), 0u);
}

std::vector<Node*> masks(const Graph& graph) {
  std::vector<Node*> found;
  for (Node* attention : graph.of_type("ScaledDotProductAttention")) found.push_back(attention->input(3).node);
  return found;
}

TEST(Decoder, LayersOfOneWindowShareTheMask) {
  TinyCheckpoint checkpoint(json{{"model_type", "mistral"}, {"sliding_window", 8}});
  auto found = masks(build(checkpoint));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], found[1]);
}

TEST(Decoder, LayersOfDifferentWindowsHaveTheirOwnMasks) {
  json types{"sliding_attention", "full_attention"};
  TinyCheckpoint checkpoint(json{{"model_type", "qwen2"}, {"use_sliding_window", true}, {"sliding_window", 8}, {"layer_types", types}},
                            ElementType::f16, [](test::Tensors& tensors) {
                              for (std::string layer : {"0", "1"})
                                for (auto [name, size] : {std::pair("q", 64), {"k", 32}, {"v", 32}})
                                  tensors["model.layers." + layer + ".self_attn." + name + "_proj.bias"] = Tensor(ElementType::f16, {size});
                            });
  auto found = masks(build(checkpoint));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NE(found[0], found[1]);
}

TEST(Decoder, TiedHeadReadsTheEmbedding) {
  TinyCheckpoint checkpoint(json{{"tie_word_embeddings", true}});
  Graph graph = build(checkpoint);
  Node* head = find(graph, "__module.lm_head/ov_ext::linear/MatMul");
  ASSERT_NE(head, nullptr);
  Value table = head->input(1);
  EXPECT_EQ(table.node->input(0).node->name(), "self.model.embed_tokens._openvino_orig_weight");
  auto uses = table.node->uses();
  EXPECT_TRUE(std::any_of(uses.begin(), uses.end(), [](const Node::Use& use) { return use.node->is("Gather"); }));
}

TEST(Decoder, BareModelsLackThePrefix) {
  TinyCheckpoint checkpoint(json{{"tie_word_embeddings", true}}, ElementType::f16, [](test::Tensors& tensors) {
    test::Tensors bare;
    for (auto& [name, tensor] : tensors) bare[name.substr(std::string("model.").size())] = tensor;
    tensors = bare;
  });
  EXPECT_NE(find(build(checkpoint), "self.model.layers.0.self_attn.q_proj._openvino_orig_weight"), nullptr);
}

TEST(Decoder, MissingTensorIsNamedWithItsFile) {
  for (const char* name :
       {"model.layers.1.mlp.up_proj.weight", "model.layers.0.input_layernorm.weight", "lm_head.weight", "model.norm.weight"}) {
    TinyCheckpoint checkpoint({}, ElementType::f16, [&](test::Tensors& tensors) { tensors.erase(name); });
    EXPECT_TRUE(fails(ErrorKind::not_found, {"model.safetensors", name}, [&] { build(checkpoint); }));
  }
}

TEST(Decoder, MissingBiasIsNamed) {
  TinyCheckpoint checkpoint(json{{"attention_bias", true}});
  EXPECT_TRUE(fails(ErrorKind::not_found, {"model.safetensors", "model.layers.0.self_attn.q_proj.bias"}, [&] { build(checkpoint); }));
}

TEST(Decoder, WrongShapeIsNamedWithBothShapes) {
  TinyCheckpoint matrix({}, ElementType::f16, [](test::Tensors& t) { t["lm_head.weight"] = Tensor(ElementType::f16, {64, 50}); });
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"model.safetensors", "lm_head.weight", "[64,50]", "[50,64]"}, [&] { build(matrix); }));
  TinyCheckpoint norm({}, ElementType::f16, [](test::Tensors& t) { t["model.norm.weight"] = Tensor(ElementType::f16, {63}); });
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"model.safetensors", "model.norm.weight", "[63]", "[64]"}, [&] { build(norm); }));
}

TEST(Decoder, IntegerWeightsAreUnsupported) {
  TinyCheckpoint checkpoint({}, ElementType::f16, [](test::Tensors& t) { t["lm_head.weight"] = Tensor(ElementType::i8, {50, 64}); });
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"model.safetensors", "lm_head.weight", "i8"}, [&] { build(checkpoint); }));
}

TEST(Decoder, UnknownActivationIsUnsupported) {
  TinyCheckpoint checkpoint(json{{"hidden_act", "snake"}});
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"snake"}, [&] { build(checkpoint); }));
}

}  // namespace
}  // namespace nibble
