#include "export/config_keys.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "expect_error.hpp"
#include "export/families.hpp"

namespace nibble {

using test::fails;
using testing::HasSubstr;

namespace {

using nlohmann::json;

void check(json more, const std::string& family = "llama") {
  json fields{{"model_type", family},     {"hidden_size", 64},      {"num_attention_heads", 4},
              {"num_key_value_heads", 2}, {"num_hidden_layers", 2}, {"intermediate_size", 96}};
  fields.update(more);
  ModelConfig config(fields, "config.json");
  find_family(config).configure(config);
  check_understood(config, family);
}

DecoderConfig decoder_of(const json& fields) {
  ModelConfig config(fields, "config.json");
  DecoderConfig decoder = find_family(config).configure(config);
  check_understood(config, config.model_type());
  return decoder;
}

Rope first_rope(const json& fields) { return decoder_of(fields).ropes.at(0); }

struct PublishedConfig {
  std::string name;
  json config;
};

void PrintTo(const PublishedConfig& c, std::ostream* out) { *out << c.name; }

/// The keys that checkpoints are published with, as far as known: not all are copies of the files. Sizes are theirs, long lists of factors
/// are not.
std::vector<PublishedConfig> published_configs() {
  std::ifstream file(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/export/published_configs.json");
  std::vector<PublishedConfig> configs;
  for (const json& c : json::parse(file)) configs.push_back({c["name"], c["config"]});
  return configs;
}

class Published : public testing::TestWithParam<PublishedConfig> {};

TEST_P(Published, IsUnderstood) {
  ModelConfig config(GetParam().config, "config.json");
  DecoderConfig decoder = find_family(config).configure(config);
  EXPECT_NO_THROW(check_understood(config, config.model_type()));
  const json& published = GetParam().config;
  EXPECT_EQ(decoder.vocab, published[published.contains("vocab_size") ? "vocab_size" : "padded_vocab_size"]);
}

INSTANTIATE_TEST_SUITE_P(ConfigKeys, Published, testing::ValuesIn(published_configs()), [](const auto& test) {
  std::string name = test.param.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace

TEST(ConfigKeys, KeysThatChangeTheComputationAreRefusedByName) {
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"\"attn_logit_softcapping\": 30.0", "--as llama"}, [] {
    check({{"attn_logit_softcapping", 30.0}});
  }));
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"\"residual_multiplier\": 0.2, \"use_strange_norm\": true"}, [] {
    check({{"residual_multiplier", 0.2}, {"use_strange_norm", true}});
  }));
}

TEST(ConfigKeys, KeysOfRopeScalingCountToo) {
  EXPECT_NO_THROW(check({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}}}}));
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"\"rope_scaling.bend\": 3"}, [] {
    check({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}, {"bend", 3}}}});
  }));
}

TEST(ConfigKeys, FinetunedYarnIsYarn) {
  json scaling{{"type", "yarn"}, {"factor", 16.0}, {"original_max_position_embeddings", 8192}, {"finetuned", true}};
  EXPECT_NO_THROW(check({{"rope_scaling", scaling}}));
  scaling["type"] = "linear";
  scaling.erase("original_max_position_embeddings");
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"\"rope_scaling.finetuned\": true"}, [&] { check({{"rope_scaling", scaling}}); }));
}

TEST(ConfigKeys, DualChunksShorterThanTrainingAreRefused) {
  for (const char* family : {"qwen2", "qwen3", "qwen2_moe", "qwen3_moe"}) {
    json chunks{{"chunk_size", 262144}, {"local_size", 8192}, {"original_max_position_embeddings", 262144}};
    EXPECT_NO_THROW(check({{"dual_chunk_attention_config", chunks}}, family)) << family;
    chunks["chunk_size"] = 262143;
    EXPECT_TRUE(fails(ErrorKind::unsupported, {"dual_chunk_attention_config"}, [&] {
      check({{"dual_chunk_attention_config", chunks}}, family);
    })) << family;
  }
}

TEST(ConfigKeys, WhatAClassDoesAlwaysCannotBeSwitchedOff) {
  auto refuses = [](const char* family, json more, const char* key) {
    return fails(ErrorKind::unsupported, {key, family}, [&] { check(more, family); });
  };
  EXPECT_TRUE(refuses("qwen3_moe", {{"use_qk_norm", false}}, "use_qk_norm"));
  for (const char* family : {"cohere", "cohere2"}) {
    EXPECT_TRUE(refuses(family, {{"position_embedding_type", "learned"}}, "position_embedding_type"));
    EXPECT_TRUE(refuses(family, {{"rotary_pct", 0.5}}, "rotary_pct"));
    EXPECT_TRUE(refuses(family, {{"use_parallel_block", false}}, "use_parallel_block"));
  }
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"alibi"}, [] { check({{"attn_config", {{"alibi", false}}}}, "mpt"); }));
}

TEST(ConfigKeys, RopeRatioDividesPositionsOfChatGlm2Only) {
  json fields{{"model_type", "chatglm"}, {"rope_ratio", 16},       {"hidden_size", 64}, {"num_attention_heads", 4},
              {"kv_channels", 16},       {"ffn_hidden_size", 128}, {"num_layers", 2},   {"_name_or_path", "THUDM/chatglm2-6b-32k"}};
  Rope divided = first_rope(fields);
  EXPECT_EQ(divided.theta, 10000);
  EXPECT_EQ(divided.inverse_frequencies.at(0), 1.0f / 16);
  fields["_name_or_path"] = "THUDM/chatglm3-6b-32k";
  Rope multiplied = first_rope(fields);
  EXPECT_EQ(multiplied.theta, 160000);
  EXPECT_EQ(multiplied.inverse_frequencies.at(0), 1);
}

TEST(ConfigKeys, MiniCpmHasTheOriginalLengthInRopeScaling) {
  json scaling{{"rope_type", "longrope"},
               {"short_factor", std::vector(8, 1.0)},
               {"long_factor", std::vector(8, 4.0)},
               {"original_max_position_embeddings", 32768}};
  json fields{{"model_type", "minicpm"}, {"hidden_size", 64},       {"num_attention_heads", 4},
              {"num_hidden_layers", 2},  {"rope_scaling", scaling}, {"max_position_embeddings", 131072}};
  Rope rope = first_rope(fields);
  EXPECT_EQ(rope.switch_length, 32768);
  EXPECT_FLOAT_EQ(rope.attention_factor, 1.0645812f);  // sqrt(1 + ln 4 / ln 32768)
}

TEST(ConfigKeys, GemmasFirstGeluIsTheTanhForm) {
  EXPECT_EQ(decoder_of({{"model_type", "gemma"}, {"hidden_act", "gelu"}}).mlp.activation, "gelu_pytorch_tanh");
  EXPECT_EQ(decoder_of({{"model_type", "gemma"}, {"hidden_act", "silu"}}).mlp.activation, "silu");
}

TEST(ConfigKeys, Gemma3MayHaveRopeParametersForEachTypeOfLayers) {
  json parameters{{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 2e6}}},
                  {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 30000.0}}}};
  auto ropes = decoder_of({{"model_type", "gemma3_text"}, {"rope_parameters", parameters}}).ropes;
  ASSERT_EQ(ropes.size(), 2u);
  EXPECT_EQ(ropes[0].theta, 2e6);
  EXPECT_EQ(ropes[0].inverse_frequencies.at(0), 1.0f / 8);
  EXPECT_EQ(ropes[1].theta, 30000);
  EXPECT_EQ(ropes[1].inverse_frequencies.at(0), 1);
  parameters["sliding_attention"]["bend"] = 3;
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"\"rope_parameters.sliding_attention.bend\": 3"}, [&] {
    decoder_of({{"model_type", "gemma3_text"}, {"rope_parameters", parameters}});
  }));
}

TEST(ConfigKeys, SwigluAlphaIsTheSlopeOfTheClampedGate) {
  EXPECT_EQ(decoder_of({{"model_type", "gpt_oss"}}).moe.clamped->slope, 1.702f);
  EXPECT_EQ(decoder_of({{"model_type", "gpt_oss"}, {"swiglu_alpha", 1.5}}).moe.clamped->slope, 1.5f);
}

TEST(ConfigKeys, Qwen3MayCallItsExpertsLocal) {
  EXPECT_EQ(decoder_of({{"model_type", "qwen3_moe"}, {"num_local_experts", 16}}).moe.experts, 16);
}

TEST(ConfigKeys, ExpertsOfQwenSlideWhereLayerTypesSay) {
  json fields{{"model_type", "qwen2_moe"}, {"num_hidden_layers", 2}, {"use_sliding_window", true}, {"sliding_window", 8}};
  auto windows = [&] {
    auto layers = decoder_of(fields).layer;
    return std::vector{layers.at(0).window, layers.at(1).window};
  };
  EXPECT_EQ(windows(), (std::vector<int64_t>{8, 8}));
  fields["layer_types"] = {"full_attention", "sliding_attention"};
  EXPECT_EQ(windows(), (std::vector<int64_t>{0, 8}));
  fields["use_sliding_window"] = false;
  fields["sliding_window"] = 0;
  EXPECT_EQ(windows(), (std::vector<int64_t>{0, 0}));
}

TEST(ConfigKeys, OriginalLengthsOfLongropeMayNotContradictEachOther) {
  json parameters{{"rope_type", "longrope"},
                  {"rope_theta", 10000.0},
                  {"short_factor", std::vector(48, 1.0)},
                  {"long_factor", std::vector(48, 4.0)},
                  {"original_max_position_embeddings", 2048}};
  json fields{{"model_type", "phi3"}, {"rope_parameters", parameters}, {"original_max_position_embeddings", 2048}};
  EXPECT_EQ(first_rope(fields).switch_length, 2048);
  fields["original_max_position_embeddings"] = 4096;
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"original_max_position_embeddings", "2048", "4096"}, [&] { first_rope(fields); }));
}

TEST(ConfigKeys, ExaoneWithoutWindowsNeedsNoPattern) {
  json fields{{"model_type", "exaone4"}, {"sliding_window", nullptr}, {"sliding_window_pattern", 0}};
  EXPECT_TRUE(decoder_of(fields).layer.empty());
}

TEST(ConfigKeys, WhatSwitchesNothingOnIsFine) {
  EXPECT_NO_THROW(
      check({{"attn_logit_softcapping", nullptr}, {"use_strange_norm", false}, {"residual_multiplier", 1.0}, {"extra", json::array()}}));
}

TEST(ConfigKeys, KeysOfTrainingAndToolsAreFine) {
  EXPECT_NO_THROW(check({{"_name_or_path", "somebody/model"},
                         {"attention_dropout", 0.1},
                         {"bos_token_id", 1},
                         {"transformers_version", "4.57.0"},
                         {"unsloth_fixed", true},
                         {"initializer_range", 0.02},
                         {"auto_map", {{"AutoModel", "modeling.Model"}}}}));
}

TEST(ConfigKeys, RenamedKeysCountAsRead) {
  ModelConfig config(json{{"n_embd", 64}, {"other", 1}}, "config.json");
  EXPECT_EQ(config.renamed({{"n_embd", "hidden_size"}}).size("hidden_size", 0), 64);
  ASSERT_EQ(config.unread().size(), 1u);
  EXPECT_EQ(config.unread()[0].first, "other");
}

TEST(ConfigKeys, TheNameMostAlikeIsSuggested) {
  std::string_view known[] = {"llama", "qwen2", "gpt2"};
  EXPECT_EQ(most_similar("llama4", known), "llama");
  EXPECT_EQ(most_similar("qwen2_5", known), "qwen2");
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"--as gemma"}, [] { find_family("gemma4", "config.json"); }));
}

}  // namespace nibble
