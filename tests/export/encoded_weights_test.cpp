// Weights that a checkpoint holds in codes, in graphs and exports.
#include <gmock/gmock.h>

#include <algorithm>

#include "checkpoint/prequantized/prequantized.hpp"
#include "checkpoint/safetensors_writer.hpp"
#include "expect_error.hpp"
#include "export/assembled_weight.hpp"
#include "export/checkpoint_graph.hpp"
#include "export/encoded_constant.hpp"
#include "ir/reader.hpp"
#include "nibble/export.hpp"
#include "scratch_directory.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

namespace fs = std::filesystem;

fs::path data(std::string_view name) { return fs::path(NIBBLE_SOURCE_DIR) / "tests/data" / name; }

Graph model(std::string_view name, FloatFormat format = FloatFormat::stored) {
  return build_checkpoint_graph(data("models") / name, format);
}

const Node& find(const Graph& graph, std::string_view name) {
  for (const auto& node : graph.nodes())
    if (node->name() == name) return *node;
  throw std::runtime_error("no node " + std::string(name));
}

/// "Constant i4 [64,2,32]": a node and its output.
std::string shown(const Node& node) {
  const OutputInfo& info = node.output_info();
  return std::string(node.type()) + " " + std::string(to_string(info.type)) + " " + to_string(info.shape.dims());
}

/// The chain that leads to input 1 of a node, from there back to the codes.
std::vector<std::string> weight_chain(const Node& node) {
  std::vector<std::string> chain;
  for (const Node* at = node.input(1).node;; at = at->input(0).node) {
    chain.push_back(shown(*at));
    if (at->input_count() == 0) return chain;
  }
}

size_t count(const Graph& graph, ElementType type) {
  auto constants = graph.of_type("Constant");
  return static_cast<size_t>(
      std::count_if(constants.begin(), constants.end(), [&](const Node* node) { return node->constant().type() == type; }));
}

std::vector<const Node*> input_gathers(const Graph& graph) {
  std::vector<const Node*> found;
  for (const Node* node : graph.of_type("Gather"))
    if (!node->input(0).node->is("Constant") && node->input(1).node->is("Constant") && node->input(1).type() == ElementType::i32)
      found.push_back(node);
  return found;
}

TEST(EncodedWeights, AreDecompressedByTheNodesThatNncfWrites) {
  Graph graph = model("llama-gptq-sym");
  const Node& layer = find(graph, "__module.model.layers.0.mlp.down_proj/ov_ext::linear/MatMul");
  EXPECT_EQ(weight_chain(layer), (std::vector<std::string>{"Convert f32 [64,128]", "Reshape f16 [64,128]", "Multiply f16 [64,4,32]",
                                                           "Convert f16 [64,4,32]", "Constant i4 [64,4,32]"}));
  std::string name = "self.model.layers.0.mlp.down_proj._openvino_orig_weight";
  EXPECT_EQ(shown(find(graph, name)), "Constant i4 [64,4,32]");
  EXPECT_EQ(shown(find(graph, name + "/scale")), "Constant f16 [64,4,1]");
  EXPECT_EQ(shown(find(graph, name + "/fq_weights_1")), "Multiply f16 [64,4,32]");
  EXPECT_EQ(count(graph, ElementType::i4), 14u);
}

TEST(EncodedWeights, ZeroPointsHaveTheTypeOfTheCodes) {
  Graph graph = model("llama-awq");
  std::string name = "self.model.layers.1.self_attn.k_proj._openvino_orig_weight";
  EXPECT_EQ(shown(find(graph, name)), "Constant u4 [32,2,32]");
  EXPECT_EQ(shown(find(graph, name + "/zero_point")), "Constant u4 [32,2,1]");
  EXPECT_EQ(shown(find(graph, name + "/zero_point/subtract")), "Subtract f16 [32,2,32]");
}

TEST(EncodedWeights, ScalesThatAreNoHalvesAreComputedWithInF32) {
  Graph graph = model("llama-compressed-tensors");
  const Node& layer = find(graph, "__module.model.layers.0.self_attn.q_proj/aten::linear/MatMul");
  EXPECT_EQ(weight_chain(layer),
            (std::vector<std::string>{"Reshape f32 [64,64]", "Multiply f32 [64,2,32]", "Convert f32 [64,2,32]", "Constant i4 [64,2,32]"}));
}

TEST(EncodedWeights, BecomeFloatsWhereFloatsAreAskedFor) {
  for (FloatFormat format : {FloatFormat::f16, FloatFormat::f32}) {
    Graph graph = model("llama-gptq-actorder", format);
    EXPECT_EQ(count(graph, ElementType::u4), 0u);
    EXPECT_TRUE(input_gathers(graph).empty());
  }
}

TEST(EncodedWeights, InputsComeInTheOrderOfTheColumns) {
  Graph graph = model("llama-gptq-actorder");
  const Node& layer = find(graph, "__module.model.layers.0.mlp.down_proj/ov_ext::linear/MatMul");
  const Node& gather = *layer.input(0).node;
  EXPECT_TRUE(gather.is("Gather"));
  auto order = to_int64s(gather.input(1).node->constant().tensor());
  EXPECT_EQ(to_int64s(gather.input(2).node->constant().tensor()), std::vector<int64_t>{-1});
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], static_cast<int64_t>(i));
  EXPECT_EQ(input_gathers(graph).size(), 14u);
}

TEST(EncodedWeights, LayersOfOneInputAndOrderShareTheReorderedInput) {
  fs::path from = data("models/llama-gptq-actorder");
  test::ScratchDirectory directory;
  fs::copy(from / "config.json", directory / "config.json");
  std::map<std::string, Tensor> tensors;
  auto stored = open_checkpoint(from);
  for (const std::string& name : stored->names()) tensors[name] = stored->get(name);
  for (const char* layer : {"k_proj", "v_proj"})
    tensors[std::string("model.layers.0.self_attn.") + layer + ".g_idx"] = tensors.at("model.layers.0.self_attn.q_proj.g_idx");
  write_safetensors(directory / "model.safetensors", tensors);
  EXPECT_EQ(input_gathers(build_checkpoint_graph(directory.path(), FloatFormat::stored)).size(), 12u);
}

/// A quantized case of the tests of checkpoints.
std::shared_ptr<const WeightSource> quantized(std::string_view name) {
  fs::path path = data("checkpoint/quantized") / name;
  return open_quantized_layers(path, open_checkpoint(path)).weights;
}

std::vector<float> expected_rows(std::string_view name, const std::vector<int64_t>& rows) {
  Tensor all = open_safetensors(data("checkpoint/quantized") / name / "expected.safetensors")->get("model.a.weight");
  auto columns = static_cast<size_t>(all.shape().back());
  std::vector<float> values = to_floats(all), out;
  for (int64_t row : rows) {
    auto first = values.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * columns);
    out.insert(out.end(), first, first + static_cast<std::ptrdiff_t>(columns));
  }
  return out;
}

/// What codes, scales and zero points made in slices of 8 rows stand for.
std::vector<float> decompressed(const EncodedConstant& constant) {
  std::vector<std::vector<std::byte>> whole(constant.output_count());
  for (int64_t begin = 0; begin < constant.rows(); begin += 8) {
    int64_t end = std::min(begin + 8, constant.rows());
    std::vector<std::vector<std::byte>> slices;
    std::vector<std::span<std::byte>> spans;
    for (size_t i = 0; i < whole.size(); ++i) slices.emplace_back(row_slice_bytes(constant, i, begin, end), std::byte{0xff});
    for (auto& slice : slices) spans.emplace_back(slice);
    constant.produce(begin, end, spans);
    for (size_t i = 0; i < whole.size(); ++i) whole[i].insert(whole[i].end(), slices[i].begin(), slices[i].end());
  }
  auto floats = [&](size_t output) {
    std::vector<float> values(element_count(constant.shape(output)));
    unpack_to_float(constant.type(output), whole[output].data(), 0, values);
    return values;
  };
  std::vector<float> codes = floats(EncodedConstant::kCodes), scales = floats(EncodedConstant::kScales), zeros(scales.size());
  if (constant.has_zero_points()) zeros = floats(EncodedConstant::kZeroPoints);
  size_t group = codes.size() / scales.size();
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = (codes[i] - zeros[i / group]) * scales[i / group];
  return codes;
}

const WeightRecipe kSomeRows{{{"model.a.weight", {{33, 3, 1}, {1, 10, 3}, {12, 1, 1}}}, {"model.a.weight", {{7, 3, 1}}}}};
const std::vector<int64_t> kTheirNumbers{33, 34, 35, 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 12, 7, 8, 9};

TEST(EncodedConstant, TakesTheRowsOfARecipe) {
  auto constant = EncodedConstant::make(*quantized("gptq-4bit-asym-v2"), kSomeRows, {17, 128});
  ASSERT_TRUE(constant);
  EXPECT_EQ(constant->shape(EncodedConstant::kCodes), (Shape{17, 4, 32}));
  EXPECT_EQ(decompressed(*constant), expected_rows("gptq-4bit-asym-v2", kTheirNumbers));
}

TEST(EncodedConstant, TakesStacksOfMatrices) {
  WeightRecipe recipe{{{"model.a.weight", {{1, 24, 2}}}}};  // every second row of each expert
  auto constant = EncodedConstant::make(*quantized("mxfp4"), recipe, {3, 8, 64});
  ASSERT_TRUE(constant);
  EXPECT_EQ(constant->shape(EncodedConstant::kScales), (Shape{3, 8, 2, 1}));
  EXPECT_EQ(constant->type(EncodedConstant::kScales), ElementType::f8e8m0);
  std::vector<int64_t> rows;
  for (int64_t i = 1; i < 48; i += 2) rows.push_back(i);
  EXPECT_EQ(decompressed(*constant), expected_rows("mxfp4", rows));
}

TEST(EncodedConstant, NeedsOneGrid) {
  auto mixed = quantized("gptq-8bit");  // a: groups of 32 with zero points, b: of 64 without
  EXPECT_FALSE(EncodedConstant::make(*mixed, {{{"model.a.weight"}, {"model.b.weight"}}}, {44, 64}));
  EXPECT_FALSE(EncodedConstant::make(*mixed, {{{"model.a.weight"}}, true}, {32, 64})) << "rows are scaled";
  EXPECT_FALSE(EncodedConstant::make(*quantized("gptq-uneven"), {{{"model.a.weight"}}}, {32, 128})) << "no grid";
  EXPECT_FALSE(EncodedConstant::make(*mixed, {{{"plain.weight"}}}, {2, 3}));
}

TEST(EncodedConstant, ShapesThatTheCheckpointDoesNotHaveAreRefused) {
  EXPECT_TRUE(test::fails(ErrorKind::corrupt, {"model.a.weight", "[40,128]", "[41,128]"}, [] {
    EncodedConstant::make(*quantized("gptq-4bit-asym-v2"), {{{"model.a.weight"}}}, {41, 128});
  }));
}

TEST(AssembledWeight, DecodesRowsOfCodes) {
  for (const char* name : {"gptq-4bit-asym-v2"}) {
    ConstantValue value = assemble_weight(*quantized(name), kSomeRows, {17, 128}, ElementType::f32);
    EXPECT_EQ(to_floats(value.tensor()), expected_rows(name, kTheirNumbers));
  }
}

TEST(AssembledWeight, CodesAreNeverTransposed) {
  WeightRecipe conv1d{{{"model.a.weight", {}, true}}};
  ConstantValue value = assemble_weight(*quantized("gptq-4bit-sym"), conv1d, {32, 96}, ElementType::f32);
  EXPECT_EQ(value.shape(), (Shape{32, 96}));
}

/// Experts stored as [experts, in, out], in numbers that are no multiples of the blocks that they are read in.
TEST(AssembledWeight, TransposesEveryExpert) {
  constexpr int64_t kExperts = 3, kIn = 133, kOut = 301;
  std::vector<float> values(kExperts * kIn * kOut);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 251) - 125;
  for (ElementType stored : {ElementType::bf16, ElementType::f32}) {
    test::ScratchDirectory directory;
    Tensor tensor = convert(Tensor::from<float>({kExperts, kIn, kOut}, values), stored);
    write_safetensors(directory / "model.safetensors", {{"experts", tensor}});
    auto source = open_safetensors(directory / "model.safetensors");
    for (ElementType type : {ElementType::bf16, ElementType::f16, ElementType::f32}) {
      ConstantValue value = assemble_weight(*source, {{{"experts", {}, true}}}, {kExperts, kOut, kIn}, type);
      std::vector<float> all = to_floats(value.tensor()), slice(8 * kIn);
      for (size_t e = 0; e < kExperts; ++e)
        for (size_t row = 0; row < kOut; ++row)
          for (size_t c = 0; c < kIn; ++c) ASSERT_EQ(all[(e * kOut + row) * kIn + c], values[(e * kIn + c) * kOut + row]);
      Tensor rows(type, {8, kIn});
      value.source()->produce(296, 304, std::vector{std::span(rows.mutable_data(), rows.byte_size())});  // of two experts
      slice = to_floats(rows);
      EXPECT_TRUE(std::equal(slice.begin(), slice.end(), all.begin() + 296 * kIn));
    }
  }
}

class EncodedExport : public testing::Test {
 protected:
  ExportReport run(std::string_view name, const ExportOptions& options) { return export_to(data("models") / name, options); }
  ExportReport export_to(const fs::path& from, const ExportOptions& options) {
    return export_model(from, directory_ / "out", options, context_);
  }
  Graph graph() const { return read_ir(directory_ / "out/openvino_model.xml"); }

  test::ScratchDirectory directory_;
  std::string log_;
  Context context_{{.threads = 1, .log = [this](LogLevel, std::string_view text) { log_ += std::string(text) + "\n"; }}};
};

TEST_F(EncodedExport, KeepsCodes) {
  ExportReport report = run("llama-gptq-actorder", {});
  EXPECT_EQ(report.layers, (std::map<std::string, uint64_t>{{"int4_asym", 14}}));
  EXPECT_EQ(report.format, "gptq codes of the checkpoint, the rest as in the checkpoint");
  EXPECT_THAT(log_, testing::HasSubstr("quantized (gptq): of its weights 14 int4_asym keep their codes"));
  EXPECT_EQ(count(graph(), ElementType::u4), 28u);
  EXPECT_EQ(graph().rt_info().find("runtime_options")->find("KV_CACHE_PRECISION"), nullptr);
}

TEST_F(EncodedExport, CompressesTheOtherWeights) {
  ExportOptions options;
  options.weight_format = "int8";
  ExportReport report = run("llama-gptq-sym", options);
  EXPECT_EQ(report.layers, (std::map<std::string, uint64_t>{{"int4_sym", 14}, {"int8_asym", 2}}));
  EXPECT_EQ(count(graph(), ElementType::i4), 14u);
  EXPECT_EQ(count(graph(), ElementType::u8), 4u);
}

TEST_F(EncodedExport, DecodesToFloats) {
  ExportOptions options;
  options.weight_format = "fp16";
  ExportReport report = run("qwen2-fp8-block", options);
  EXPECT_EQ(report.layers, (std::map<std::string, uint64_t>{{"float", 14}}));
  EXPECT_EQ(report.format, "fp16");
  EXPECT_THAT(log_, testing::HasSubstr("14 become floats"));
  EXPECT_EQ(count(graph(), ElementType::f8e4m3), 0u);
}

TEST_F(EncodedExport, MergesAdapters) {
  fs::path from = data("checkpoint/adapters/lora");
  test::write_text(directory_ / "config.json",
                   R"({"model_type": "llama", "vocab_size": 24, "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2,
                       "num_attention_heads": 2, "num_key_value_heads": 1})");
  fs::copy(from / "model.safetensors", directory_ / "model.safetensors");
  ExportOptions options;
  options.adapters = {from};
  export_to(directory_.path(), options);
  auto expected = open_safetensors(from / "expected.safetensors");
  auto merged = to_floats(find(graph(), "self.model.layers.1.self_attn.v_proj.weight").constant().tensor());
  EXPECT_THAT(merged, testing::Pointwise(testing::FloatNear(2e-6f), to_floats(expected->get("model.layers.1.self_attn.v_proj.weight"))));
}

}  // namespace

}  // namespace nibble
