// config.json from the metadata of GGUF files.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/json.hpp"
#include "checkpoint/gguf/gguf_architecture.hpp"
#include "checkpoint/gguf/gguf_files.hpp"
#include "checkpoint/gguf_builder.hpp"
#include "checkpoint/samples.hpp"

namespace nibble {

namespace {

using nlohmann::json;
using samples::fails;
using Builder = samples::GgufBuilder;

std::string zeros(const Shape& shape) { return std::string(4 * element_count(shape), '\0'); }

/// The metadata that every model of an architecture has, for two layers of four heads of 16 elements.
Builder sizes(const std::string& architecture) {
  Builder builder;
  builder.set("general.architecture", architecture.c_str());
  auto set = [&](const char* key, auto value) { builder.set(architecture + "." + key, value); };
  set("block_count", 2u), set("context_length", 512u), set("embedding_length", 64u), set("feed_forward_length", 96u);
  set("attention.head_count", 4u), set("attention.head_count_kv", 2u);
  set("attention.layer_norm_rms_epsilon", 1e-5f), set("attention.layer_norm_epsilon", 1e-5f);
  return builder.tensor("token_embd.weight", {100, 64}, Builder::kTypeF32, zeros({100, 64}));
}

Builder factors(Builder builder, const char* name, const std::vector<float>& values) {
  std::string bytes;
  for (float value : values) bytes += Builder::number(value);
  return builder.tensor(name, {static_cast<int64_t>(values.size())}, Builder::kTypeF32, bytes);
}

class GgufConfig : public ::testing::Test {
 protected:
  json config(const Builder& builder) const { return gguf_config(GgufModel(directory.write("model.gguf", builder.bytes()))); }
  ::testing::AssertionResult refused(ErrorKind kind, const std::vector<std::string>& parts, const Builder& builder) const {
    return fails(kind, parts, [&] { config(builder); });
  }
  samples::Directory directory;
};

}  // namespace

TEST_F(GgufConfig, HasTheHyperparametersOfTheCheckpoint) {
  for (const char* name : {"gguf-llama-f16", "gguf-llama-q4_0", "gguf-qwen2-f16", "gguf-qwen2-q8_0"}) {
    std::filesystem::path model = std::filesystem::path(NIBBLE_SOURCE_DIR) / "tests/data/models" / name;
    json got = gguf_config(GgufModel(model / "model.gguf")), want = read_json_object(model / "config.json");
    for (const auto& [key, value] : want.items()) EXPECT_EQ(got[key], value) << name << ": " << key;
  }
}

TEST_F(GgufConfig, ReadsRopeScaling) {
  EXPECT_TRUE(config(sizes("llama"))["rope_scaling"].is_null());
  EXPECT_EQ(config(sizes("llama").set("llama.rope.scale_linear", 4.0f))["rope_scaling"], (json{{"rope_type", "linear"}, {"factor", 4.0}}));
  Builder yarn = sizes("llama").set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 4.0f);
  yarn.set("llama.rope.scaling.original_context_length", 128u).set("llama.rope.scaling.yarn_beta_fast", 16.0f);
  EXPECT_EQ(config(yarn)["rope_scaling"],
            (json{{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 128}, {"beta_fast", 16.0}}));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"rope scaling \"spiral\""}, sizes("llama").set("llama.rope.scaling.type", "spiral")));
}

TEST_F(GgufConfig, FindsLlama3ScalingInItsFactors) {
  for (auto [factor, high, context] : {std::tuple{8.0, 4.0, 8192.0}, {32.0, 4.0, 8192.0}, {8.0, 2.0, 64.0}, {16.0, 4.0, 2048.0}}) {
    std::vector<float> values;
    for (int i = 0; i < 32; ++i) {
      double wavelength = 2 * std::numbers::pi * std::pow(500000.0, i / 32.0), smooth = (context / wavelength - 1) / (high - 1);
      values.push_back(static_cast<float>(wavelength < context / high ? 1
                                          : wavelength > context      ? factor
                                                                      : 1 / ((1 - smooth) / factor + smooth)));
    }
    Builder builder = factors(sizes("llama").set("llama.rope.freq_base", 500000.0f), "rope_freqs.weight", values);
    EXPECT_EQ(config(builder)["rope_scaling"], (json{{"rope_type", "llama3"},
                                                     {"factor", factor},
                                                     {"low_freq_factor", 1.0},
                                                     {"high_freq_factor", high},
                                                     {"original_max_position_embeddings", context}}));
  }
}

TEST_F(GgufConfig, KeepsOtherFactorsAsTheyAre) {
  std::vector<float> values{1, 1.5f, 1.25f, 3, 2, 2, 2, 9};
  json scaling = config(factors(sizes("llama"), "rope_freqs.weight", values))["rope_scaling"];
  EXPECT_EQ(scaling["rope_type"], "longrope");
  EXPECT_EQ(scaling["short_factor"], json(values));
  EXPECT_EQ(scaling["long_factor"], json(values));
  EXPECT_EQ(scaling["attention_factor"], 1.0);
}

TEST_F(GgufConfig, ReadsPhi3sFactors) {
  Builder builder = sizes("phi3").set("phi3.rope.scaling.original_context_length", 128u).set("phi3.rope.dimension_count", 12u);
  builder.set("phi3.rope.scaling.attn_factor", static_cast<float>(std::sqrt(1 + std::log(4.0) / std::log(128.0))));
  json c =
      config(factors(factors(builder, "rope_factors_long.weight", {1, 2, 3, 4, 5, 6}), "rope_factors_short.weight", {1, 1, 1, 1, 1, 2}));
  EXPECT_EQ(c["model_type"], "phi3");
  EXPECT_EQ(c["original_max_position_embeddings"], 128);
  EXPECT_EQ(c["partial_rotary_factor"], 0.75);
  EXPECT_EQ(c["rope_scaling"], (json{{"type", "longrope"}, {"long_factor", {1, 2, 3, 4, 5, 6}}, {"short_factor", {1, 1, 1, 1, 1, 2}}}));
}

TEST_F(GgufConfig, TellsArchitecturesThatShareAName) {
  EXPECT_EQ(config(sizes("llama"))["model_type"], "llama");
  EXPECT_EQ(config(sizes("llama").set("llama.attention.sliding_window", 64u))["model_type"], "mistral");
  EXPECT_EQ(config(sizes("llama").set("llama.expert_count", 4u).set("llama.expert_used_count", 2u))["model_type"], "mixtral");
  EXPECT_EQ(config(sizes("falcon"))["new_decoder_architecture"], true);
  EXPECT_EQ(config(sizes("falcon"))["num_ln_in_parallel_attn"], 1);
}

TEST_F(GgufConfig, HeadsAreTiedWhereThereIsNoOutput) {
  EXPECT_EQ(config(sizes("llama"))["tie_word_embeddings"], true);
  EXPECT_EQ(config(sizes("llama").tensor("output.weight", {100, 64}, Builder::kTypeF32, zeros({100, 64})))["tie_word_embeddings"], false);
}

TEST_F(GgufConfig, SlidingLayersFollowTheirPattern) {
  json every_other{"sliding_attention", "full_attention"};
  EXPECT_EQ(config(sizes("gemma2"))["layer_types"], every_other);
  EXPECT_EQ(config(sizes("gemma3").set("gemma3.attention.sliding_window", 8u))["layer_types"],
            (json{"sliding_attention", "sliding_attention"}));
  Builder listed = sizes("gemma3").set("gemma3.attention.sliding_window", 8u);
  listed.value("gemma3.attention.sliding_window_pattern", 9,
               samples::little_endian(7, 4) + samples::little_endian(2, 8) + std::string("\1\0", 2));
  EXPECT_EQ(config(listed)["layer_types"], every_other);
}

TEST_F(GgufConfig, WhatWouldChangeTheResultsIsNamed) {
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"'mamba'", "supported: llama"}, sizes("mamba")));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"'llama.residual_scale'"}, sizes("llama").set("llama.residual_scale", 0.5f)));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"attention.causal"}, sizes("llama").set("llama.attention.causal", false)));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"values of another size"},
                      sizes("llama").set("llama.attention.key_length", 16u).set("llama.attention.value_length", 32u)));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"expert_gating_func"}, sizes("qwen3moe").set("qwen3moe.expert_gating_func", 2u)));
  Builder deep;
  deep.set("general.architecture", "llama").set("llama.block_count", 2u).set("llama.context_length", 8u).set("llama.embedding_length", 64u);
  deep.set("llama.feed_forward_length", 96u).set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  deep.set("llama.attention.head_count", std::vector<uint32_t>{4, 2}).tensor("token_embd.weight", {100, 64}, 0, zeros({100, 64}));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"'llama.attention.head_count'", "differ between layers"}, deep));
}

TEST_F(GgufConfig, KeysThatSayNothingAreAllowed) {
  EXPECT_EQ(config(sizes("llama").set("llama.expert_shared_count", 0u).set("llama.residual_scale", 0.0f))["model_type"], "llama");
}

TEST_F(GgufConfig, ContradictionsAreNamed) {
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"general.architecture", "missing"}, Builder()));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'llama.embedding_length'", "missing"}, Builder().set("general.architecture", "llama")));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"should rotate"}, sizes("llama").set("llama.rope.dimension_count", 32u)));
  Builder zero;
  zero.set("general.architecture", "llama").set("llama.embedding_length", 64u).set("llama.attention.head_count", 0u);
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'llama.attention.head_count'", "is 0"}, zero));
}

TEST_F(GgufConfig, FilesCarryTokensThatEndAnswers) {
  std::vector<std::string> texts{"a", "<|im_end|>", "<|endoftext|>"};
  Builder builder =
      sizes("qwen2").set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", "qwen2").set("tokenizer.ggml.tokens", texts);
  builder.set("tokenizer.ggml.token_type", std::vector<uint32_t>{1, 3, 3}).set("tokenizer.ggml.merges", std::vector<std::string>{});
  builder.set("tokenizer.ggml.eos_token_id", 1u).set("tokenizer.chat_template", "{{ messages[0].content }}");
  auto files = gguf_files(GgufModel(directory.write("model.gguf", builder.bytes())), true);
  EXPECT_EQ(json::parse(files.at("generation_config.json"))["eos_token_id"], (json{1, 2}));
  EXPECT_EQ(json::parse(files.at("config.json"))["eos_token_id"], 1);
  EXPECT_EQ(json::parse(files.at("tokenizer_config.json"))["eos_token"], "<|im_end|>");
  EXPECT_EQ(json::parse(files.at("tokenizer.json"))["normalizer"]["type"], "NFC");
  EXPECT_EQ(files.at("chat_template.jinja"), "{{ messages[0].content }}");
  EXPECT_FALSE(gguf_files(GgufModel(directory.path() / "model.gguf"), false).contains("tokenizer.json"));
}

TEST_F(GgufConfig, AMessagesEndIsNoAnswersEndWhereAnswersHaveSeveral) {
  std::vector<std::string> texts{"<|end|>", "<|return|>", "<|call|>"};
  auto endings = [&](size_t count) {
    Builder builder = sizes("llama").set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", "gpt-4o");
    builder.set("tokenizer.ggml.tokens", std::vector<std::string>(texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(count)));
    builder.set("tokenizer.ggml.token_type", std::vector<uint32_t>(count, 3));
    return json::parse(
        gguf_files(GgufModel(directory.write("model.gguf", builder.bytes())), true).at("generation_config.json"))["eos_token_id"];
  };
  EXPECT_EQ(endings(3), (json{1, 2}));
  EXPECT_EQ(endings(2), (json{0, 1}));
}

TEST_F(GgufConfig, WrongTokenizersAreNamed) {
  auto with = [](const char* key, auto value) {
    Builder builder = sizes("llama");
    builder.set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
    return builder.set(key, value);
  };
  auto files = [&](const Builder& builder) { gguf_files(GgufModel(directory.write("model.gguf", builder.bytes())), true); };
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"tokenizer.ggml.pre", "'mystery'"}, [&] { files(with("tokenizer.ggml.pre", "mystery")); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"bos_token_id", "2"}, [&] { files(with("tokenizer.ggml.bos_token_id", 2u)); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"token_type", "1 entries for 2"},
                    [&] { files(with("tokenizer.ggml.token_type", std::vector<uint32_t>{1})); }));
  EXPECT_TRUE(
      fails(ErrorKind::corrupt, {"merges", "UTF-8"}, [&] { files(with("tokenizer.ggml.merges", std::vector<std::string>{"\xff a"})); }));
  Builder bert = sizes("llama").set("tokenizer.ggml.model", "bert").set("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"'bert'"}, [&] { files(bert); }));
}

}  // namespace nibble
