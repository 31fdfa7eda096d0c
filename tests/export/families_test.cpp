#include "export/families.hpp"

#include <fstream>

#include "expect_error.hpp"
#include "export/checkpoint_graph.hpp"
#include "nibble/export.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::fails;

namespace {

using nlohmann::json;

DecoderConfig configure(const json& fields) {
  ModelConfig config(fields, "config.json");
  return find_family(config).configure(config);
}

json tiny(std::string_view family, json more = json::object()) {
  json config{{"model_type", family},     {"hidden_size", 64},      {"num_attention_heads", 4},
              {"num_key_value_heads", 2}, {"num_hidden_layers", 2}, {"intermediate_size", 96}};
  config.update(more);
  return config;
}

struct FamilyCase {
  std::string name;
  json config, expected;
};

void PrintTo(const FamilyCase& c, std::ostream* out) { *out << c.name; }

std::vector<FamilyCase> family_cases() {
  std::ifstream file(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/export/families.json");
  std::vector<FamilyCase> cases;
  for (const json& c : json::parse(file)) cases.push_back({c["name"], c["config"], c["expected"]});
  return cases;
}

/// Families that know no windows leave the list empty.
std::vector<int64_t> windows_of(const DecoderConfig& c) {
  std::vector<int64_t> windows(static_cast<size_t>(c.layers), 0);
  for (size_t i = 0; i < c.layer.size(); ++i) windows[i] = c.layer[i].window;
  return windows;
}

class FamilyReference : public testing::TestWithParam<FamilyCase> {};

TEST_P(FamilyReference, FillsInWhatTransformersFillsIn) {
  DecoderConfig c = configure(GetParam().config);
  json actual{{"vocab", c.vocab},
              {"hidden", c.hidden},
              {"intermediate", c.mlp.intermediate},
              {"layers", c.layers},
              {"heads", c.attention.heads},
              {"kv_heads", c.attention.kv_heads},
              {"head_dim", c.attention.head_dim},
              {"norm_epsilon", c.norm.epsilon},
              {"activation", c.mlp.activation},
              {"tied_embeddings", c.tied_embeddings},
              {"rope_theta", c.ropes[0].theta},
              {"max_positions", c.ropes[0].max_positions},
              {"windows", windows_of(c)}};
  EXPECT_EQ(actual, GetParam().expected) << json::diff(GetParam().expected, actual);
}

INSTANTIATE_TEST_SUITE_P(Cases, FamilyReference, testing::ValuesIn(family_cases()), [](const auto& test) { return test.param.name; });

TEST(Families, LlamaHasBiasesOnRequest) {
  DecoderConfig none = configure(tiny("llama"));
  EXPECT_FALSE(none.attention.qkv_bias || none.attention.output_bias || none.mlp.has_bias || none.attention.head_norm != HeadNorm::none);
  DecoderConfig attention = configure(tiny("llama", {{"attention_bias", true}}));
  EXPECT_TRUE(attention.attention.qkv_bias && attention.attention.output_bias && !attention.mlp.has_bias);
  DecoderConfig mlp = configure(tiny("llama", {{"mlp_bias", true}}));
  EXPECT_TRUE(!mlp.attention.qkv_bias && !mlp.attention.output_bias && mlp.mlp.has_bias);
}

TEST(Families, MistralHasNoBiases) {
  DecoderConfig c = configure(tiny("mistral", {{"attention_bias", true}}));
  EXPECT_FALSE(c.attention.qkv_bias || c.attention.output_bias || c.mlp.has_bias);
}

TEST(Families, Qwen2HasBiasesOnQueryKeyAndValueOnly) {
  DecoderConfig c = configure(tiny("qwen2"));
  EXPECT_TRUE(c.attention.qkv_bias && !c.attention.output_bias && !c.mlp.has_bias && c.attention.head_norm == HeadNorm::none);
}

TEST(Families, Qwen3NormalisesQueryAndKey) {
  DecoderConfig c = configure(tiny("qwen3"));
  EXPECT_TRUE(c.attention.head_norm == HeadNorm::each && !c.attention.qkv_bias && !c.attention.output_bias);
  DecoderConfig biased = configure(tiny("qwen3", {{"attention_bias", true}}));
  EXPECT_TRUE(biased.attention.qkv_bias && biased.attention.output_bias);
}

TEST(Families, UnknownModelTypeNamesTheKnownOnes) {
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"config.json", "unheard-of", "llama", "mistral", "qwen2", "qwen3"},
                    [] { configure(tiny("unheard-of")); }));
}

TEST(Families, SupportedTypesAreThoseThatCanBeConfigured) {
  EXPECT_THAT(supported_model_types(), testing::IsSupersetOf({"llama", "mistral", "qwen2", "qwen3"}));
  for (const auto& type : supported_model_types()) EXPECT_EQ(configure(tiny(type)).hidden, 64) << type;
}

TEST(Families, HeadsMustBeAMultipleOfKeyValueHeads) {
  for (int64_t kv_heads : {3, 8})
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "4 attention heads", std::to_string(kv_heads)}, [&] {
      configure(tiny("llama", {{"num_key_value_heads", kv_heads}}));
    }));
}

TEST(Families, MoreHeadsThanHiddenElementsAreRejected) {
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "hidden size", "64"}, [] {
    configure(tiny("llama", {{"num_attention_heads", 128}, {"num_key_value_heads", 128}}));
  }));
}

TEST(Families, AbsurdSizesAreRejectedBeforeMemoryIsTaken) {
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "layers"}, [] {
    configure(tiny("mistral", {{"num_hidden_layers", 2147483648}}));
  }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "head"}, [] { configure(tiny("llama", {{"head_dim", 2147483648}})); }));
}

TEST(Families, GlmHasBiasesUnlessItSaysNo) {
  for (const char* family : {"glm", "glm4"}) {
    EXPECT_TRUE(configure(tiny(family)).attention.qkv_bias);
    EXPECT_FALSE(configure(tiny(family, {{"attention_bias", false}})).attention.qkv_bias);
  }
}

TEST(Families, Exaone4NamesItsPeriodByNumberOrLetters) {
  json config = tiny("exaone4", {{"num_hidden_layers", 4}, {"sliding_window", 8}, {"sliding_window_pattern", "LLG"}});
  EXPECT_EQ(windows_of(configure(config)), (std::vector<int64_t>{8, 8, 0, 8}));
  config["sliding_window_pattern"] = 2;
  EXPECT_EQ(windows_of(configure(config)), (std::vector<int64_t>{8, 0, 8, 0}));
  for (const char* letters : {"", "L", "LGL", "GG", "LXG"}) {
    config["sliding_window_pattern"] = letters;
    EXPECT_TRUE(fails(ErrorKind::unsupported, {"sliding_window_pattern"}, [&] { configure(config); }));
  }
}

TEST(Families, LayerTypesMustCoverAllLayers) {
  json config = tiny("qwen2", {{"use_sliding_window", true}, {"layer_types", {"sliding_attention"}}});
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "layer_types", "1", "2"}, [&] { configure(config); }));
}

TEST(Families, UnknownLayerTypeIsUnsupported) {
  json config = tiny("qwen3", {{"layer_types", {"full_attention", "chunked_attention"}}});
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"config.json", "layer_types", "chunked_attention"}, [&] { configure(config); }));
}

TEST(Families, AnyNumberOfFullLayersIsRead) {
  EXPECT_EQ(windows_of(configure(tiny("qwen2", {{"use_sliding_window", true}, {"max_window_layers", 1e300}}))),
            (std::vector<int64_t>{0, 0}));
}

TEST(Families, Lfm2ConvolvesInTheLayersThatAreNamed) {
  auto kinds = [](const json& more) {
    std::string text;
    for (const LayerConfig& layer : configure(tiny("lfm2", more)).layer) text += layer.has_convolution ? 'c' : 'a';
    return text;
  };
  EXPECT_EQ(kinds({{"layer_types", {"conv", "full_attention"}}}), "ca");
  EXPECT_EQ(kinds({{"full_attn_idxs", {0}}}), "ac");
  EXPECT_EQ(kinds(json::object()), "aa");
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"config.json", "layer_types", "mamba"}, [&] { kinds({{"layer_types", {"conv", "mamba"}}}); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "layer_types", "1", "2"}, [&] { kinds({{"layer_types", {"conv"}}}); }));
}

TEST(Families, Lfm2RoundsItsWidth) {
  auto width = [](const json& more) { return configure(tiny("lfm2", more)).mlp.intermediate; };
  EXPECT_EQ(width({{"block_auto_adjust_ff_dim", false}}), 96);
  EXPECT_EQ(width(json::object()), 256);
  EXPECT_EQ(width({{"intermediate_size", 12288}, {"block_ffn_dim_multiplier", 1.5}, {"block_multiple_of", 100}}), 12300);
}

TEST(Families, LongKernelsAreRejected) {
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "2000000"}, [] { configure(tiny("lfm2", {{"conv_L_cache", 2000000}})); }));
}

TEST(Families, UnknownQuantizationIsRefused) {
  test::ScratchDirectory directory;
  json config = tiny("llama", {{"quantization_config", {{"quant_method", "hqq"}, {"bits", 4}}}});
  test::write_text(directory / "config.json", config.dump());
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"config.json", "hqq", "quantized"},
                    [&] { build_checkpoint_graph(directory.path(), FloatFormat::stored); }));
}

}  // namespace
TEST(Families, SmolLm3SlidesWhereItsLayerTypesSayOrElseWhereItDoesNotRotate) {
  json config = tiny("smollm3", {{"num_hidden_layers", 4}, {"use_sliding_window", true}, {"sliding_window", 8}});
  EXPECT_EQ(windows_of(configure(config)), (std::vector<int64_t>{0, 0, 0, 8}));
  config["layer_types"] = {"sliding_attention", "full_attention", "full_attention", "full_attention"};
  EXPECT_EQ(windows_of(configure(config)), (std::vector<int64_t>{8, 0, 0, 0}));
}

TEST(Families, GptOssHasTheBiasesThatItsConfigSays) {
  EXPECT_TRUE(configure(tiny("gpt_oss")).attention.qkv_bias);
  EXPECT_FALSE(configure(tiny("gpt_oss", {{"attention_bias", false}})).attention.qkv_bias);
}

}  // namespace nibble
