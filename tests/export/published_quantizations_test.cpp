// What checkpoints are published with as quantization_config, in the words of the tools that write it; sizes are those of the layers at
// hand.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/encoded_matrix.hpp"
#include "checkpoint/prequantized/prequantized.hpp"
#include "scratch_directory.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct PublishedQuantization {
  std::string name, layers;
  json config;
};

void PrintTo(const PublishedQuantization& q, std::ostream* out) { *out << q.name; }

fs::path data(std::string_view name) { return fs::path(NIBBLE_SOURCE_DIR) / "tests/data" / name; }

std::vector<PublishedQuantization> published_quantizations() {
  std::ifstream file(data("export/published_quantizations.json"));
  std::vector<PublishedQuantization> all;
  for (const json& q : json::parse(file)) all.push_back({q["name"], q["layers"], q["config"]});
  return all;
}

class Quantization : public testing::TestWithParam<PublishedQuantization> {};

TEST_P(Quantization, IsUnderstood) {
  fs::path layers = data("checkpoint/quantized") / GetParam().layers;
  test::ScratchDirectory directory;
  test::write_text(directory / "config.json", json{{"model_type", "llama"}, {"quantization_config", GetParam().config}}.dump());
  fs::copy_file(layers / "model.safetensors", directory / "model.safetensors");

  QuantizedCheckpoint checkpoint = open_quantized_layers(directory.path(), open_checkpoint(directory.path()));
  EXPECT_EQ(checkpoint.method, GetParam().config["quant_method"]);
  auto expected = open_safetensors(layers / "expected.safetensors");
  for (const std::string& name : expected->names()) {
    auto matrix = checkpoint.weights->encoded(name);
    ASSERT_TRUE(matrix) << name;
    std::vector<float> wanted = to_floats(expected->get(name)), numbers(wanted.size());
    matrix->read_rows(0, static_cast<int64_t>(wanted.size()) / matrix->shape().back(), numbers);
    EXPECT_EQ(numbers, wanted) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Published, Quantization, testing::ValuesIn(published_quantizations()), [](const auto& test) {
  std::string name = test.param.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace nibble
