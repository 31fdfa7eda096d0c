// Graphs and exports of GGUF files.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "checkpoint/gguf/gguf_file.hpp"
#include "checkpoint/gguf_builder.hpp"
#include "expect_error.hpp"
#include "export/checkpoint_graph.hpp"
#include "nibble/export.hpp"
#include "scratch_directory.hpp"

namespace nibble {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using samples::GgufBuilder;

const fs::path kModels = fs::path(NIBBLE_SOURCE_DIR) / "tests/data/models";

std::string as_string(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The file again, with its tensors as `change` leaves them (an empty name takes one out).
std::string rebuilt(const fs::path& path, const std::function<void(GgufTensor&)>& change,
                    const std::function<void(GgufBuilder&)>& add = {}) {
  GgufFile file = open_gguf_file(path);
  GgufBuilder builder;
  for (const auto& [key, value] : file.metadata.values()) {
    std::string head =
        value.is_array ? GgufBuilder::little_endian(static_cast<uint64_t>(value.type), 4) + GgufBuilder::little_endian(value.count, 8) : "";
    builder.value(key, value.is_array ? GgufBuilder::kArray : static_cast<uint32_t>(value.type), head + as_string(value.bytes));
  }
  for (GgufTensor tensor : file.tensors) {
    change(tensor);
    if (!tensor.name.empty()) builder.tensor(tensor.name, tensor.shape, tensor.type->number, as_string(tensor.bytes));
  }
  if (add) add(builder);
  return builder.bytes();
}

class GgufGraph : public ::testing::Test {
 protected:
  ::testing::AssertionResult refused(ErrorKind kind, const std::vector<std::string>& parts, const std::string& bytes) const {
    test::write_text(directory / "model.gguf", bytes);
    return test::fails(kind, parts, [&] { build_checkpoint_graph(directory / "model.gguf", FloatFormat::stored); });
  }
  test::ScratchDirectory directory;
  fs::path model = kModels / "gguf-llama-q4_0/model.gguf";
};

}  // namespace

TEST_F(GgufGraph, RebuiltFileIsAccepted) {
  test::write_text(directory / "model.gguf", rebuilt(model, [](GgufTensor&) {}));
  EXPECT_EQ(build_checkpoint_graph(directory.path(), FloatFormat::stored).results().size(), 1u);
}

TEST_F(GgufGraph, TensorsThatNobodyKnowsAreRefused) {
  auto add = [](GgufBuilder& builder) { builder.tensor("blk.0.attn_sub_norm.weight", {64}, 0, std::string(256, '\0')); };
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"'blk.0.attn_sub_norm.weight'", "others"},
                      rebuilt(
                          model, [](GgufTensor&) {}, add)));
}

TEST_F(GgufGraph, MissingTensorsAreNamed) {
  for (const char* name : {"blk.1.ffn_up.weight", "blk.0.attn_q.weight", "output_norm.weight"}) {
    auto drop = [&](GgufTensor& tensor) { tensor.name = tensor.name == name ? "" : tensor.name; };
    EXPECT_TRUE(refused(ErrorKind::not_found, {name}, rebuilt(model, drop)));
  }
}

TEST_F(GgufGraph, TensorsOfAnotherShapeAreNamed) {
  auto shrink = [](GgufTensor& tensor) {
    if (tensor.name != "blk.0.attn_k.weight") return;
    tensor.shape[0] /= 2;
    tensor.bytes = tensor.bytes.first(tensor.bytes.size() / 2);
  };
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'blk.0.attn_k.weight'", "[16,64]"}, rebuilt(model, shrink)));
}

TEST_F(GgufGraph, AdaptersAreNotForGguf) {
  EXPECT_TRUE(test::fails(ErrorKind::unsupported, {"adapters", "GGUF"},
                          [&] { build_checkpoint_graph(model, CheckpointOptions{.adapters = {"somewhere"}}); }));
}

TEST_F(GgufGraph, ExportKeepsCodesAndWritesAllFiles) {
  Context context;
  ExportReport report = export_model(model, directory / "out", {}, context);
  EXPECT_EQ(report.model_type, "llama");
  EXPECT_EQ(report.layers, (std::map<std::string, uint64_t>{{"int4_sym", 13}, {"int8_sym", 3}}));
  EXPECT_EQ(test::listing(directory / "out"),
            (std::vector<std::string>{"config.json", "generation_config.json", "openvino_detokenizer.bin", "openvino_detokenizer.xml",
                                      "openvino_model.bin", "openvino_model.xml", "openvino_tokenizer.bin", "openvino_tokenizer.xml",
                                      "tokenizer.json", "tokenizer_config.json"}));
  json config = read_json_object(directory / "out/config.json"), generation = read_json_object(directory / "out/generation_config.json");
  EXPECT_EQ(config["num_key_value_heads"], 2);
  EXPECT_EQ(config["rms_norm_eps"], 1e-6);
  EXPECT_EQ(generation["eos_token_id"], 2);
}

TEST_F(GgufGraph, FilesBesideTheOnlyModelComeFirst) {
  fs::copy_file(model, directory / "model.gguf");
  test::write_text(directory / "tokenizer.json", "{\"mine\": true}");
  test::write_text(directory / "config.json", "{\"mine\": true}");
  Context context;
  export_model(directory.path(), directory / "out", {}, context);
  EXPECT_TRUE(read_json_object(directory / "out/tokenizer.json").contains("mine"));
  EXPECT_EQ(read_json_object(directory / "out/config.json")["model_type"], "llama");
}

}  // namespace nibble
