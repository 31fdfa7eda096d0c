#include <gmock/gmock.h>

#include "command.hpp"

// Adapters and quantized checkpoints on the command line.

namespace nibble {

namespace {

using testing::HasSubstr;

std::string data(std::string_view name) { return std::string(NIBBLE_SOURCE_DIR) + "/tests/data/" + std::string(name); }

TEST(ExportAdapters, SeveralMayBeMergedAndNoneTakesTheNextArgument) {
  test::ScratchDirectory scratch;
  std::filesystem::copy(data("checkpoint/adapters/lora/model.safetensors"), scratch / "model.safetensors");
  test::write_text(scratch / "config.json",
                   R"({"model_type": "llama", "vocab_size": 24, "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2,
                       "num_attention_heads": 2, "num_key_value_heads": 1})");
  std::string model = scratch.path().string(), lora = data("checkpoint/adapters/lora"), dora = data("checkpoint/adapters/dora");
  auto made = test::nibble({"export", "--merge-adapter", lora, "--merge-adapter", dora, model, scratch / "out"});
  EXPECT_EQ(made.code, 0) << made.err;
  auto refused = test::nibble({"export", model, scratch / "other", "--merge-adapter", data("checkpoint/adapters/conv1d")});
  EXPECT_NE(refused.code, 0);
  EXPECT_THAT(refused.err, HasSubstr("transformer.h.0.attn"));
}

TEST(ExportQuantized, SaysThatCodesAreKept) {
  test::ScratchDirectory scratch;
  auto made = test::nibble({"export", data("models/llama-awq"), scratch / "out", "--json"});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(made.document()["layers"], (nlohmann::json{{"int4_asym", 14}}));
  EXPECT_EQ(made.document()["format"], "awq codes of the checkpoint, the rest as in the checkpoint");
}

}  // namespace

}  // namespace nibble
