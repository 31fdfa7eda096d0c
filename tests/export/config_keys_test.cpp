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

struct PublishedConfig {
  std::string name;
  json config;
};

void PrintTo(const PublishedConfig& c, std::ostream* out) { *out << c.name; }

/// The keys that checkpoints are published with; sizes are theirs, long lists of factors are not.
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
  EXPECT_EQ(decoder.vocab, GetParam().config["vocab_size"]);
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
