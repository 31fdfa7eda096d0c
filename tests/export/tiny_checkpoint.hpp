#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "checkpoint/safetensors_writer.hpp"
#include "export/model_config.hpp"
#include "scratch_directory.hpp"
#include "tensor/convert.hpp"

namespace nibble::test {

using Tensors = std::map<std::string, Tensor>;

/// config.json of a Llama with two layers that take a few KB; `more` replaces keys, `{}` none.
inline nlohmann::json tiny_config(const nlohmann::json& more = nlohmann::json::object()) {
  nlohmann::json config{{"model_type", "llama"},          {"vocab_size", 50},         {"hidden_size", 64},        {"intermediate_size", 96},
                        {"num_hidden_layers", 2},         {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"head_dim", 16},
                        {"max_position_embeddings", 128}, {"bos_token_id", 1},        {"eos_token_id", {2, 3}}};
  if (!more.is_null()) config.update(more);
  return config;
}

/// Seeded random weights of the shapes that such a config asks for (without biases and head norms).
inline Tensors tiny_weights(const nlohmann::json& json, ElementType type = ElementType::f16) {
  ModelConfig config(json, "config.json");
  int64_t hidden = config.size("hidden_size", 1), inner = config.size("intermediate_size", 1), vocab = config.size("vocab_size", 1);
  int64_t queries = config.size("num_attention_heads", 1) * config.size("head_dim", 1);
  int64_t keys = config.size("num_key_value_heads", 1) * config.size("head_dim", 1);
  std::mt19937 random(1);
  Tensors tensors;
  auto add = [&](const std::string& name, Shape shape, float mean) {
    Tensor values(ElementType::f32, std::move(shape));
    std::normal_distribution<float> normal(mean, 0.1f);
    for (float& v : values.as_mutable<float>()) v = normal(random);
    tensors[name + ".weight"] = convert(values, type);
  };
  add("model.embed_tokens", {vocab, hidden}, 0);
  for (int64_t i = 0; i < config.size("num_hidden_layers", 1); ++i) {
    std::string layer = "model.layers." + std::to_string(i);
    add(layer + ".input_layernorm", {hidden}, 1);
    add(layer + ".post_attention_layernorm", {hidden}, 1);
    add(layer + ".self_attn.q_proj", {queries, hidden}, 0);
    add(layer + ".self_attn.k_proj", {keys, hidden}, 0);
    add(layer + ".self_attn.v_proj", {keys, hidden}, 0);
    add(layer + ".self_attn.o_proj", {hidden, queries}, 0);
    add(layer + ".mlp.gate_proj", {inner, hidden}, 0);
    add(layer + ".mlp.up_proj", {inner, hidden}, 0);
    add(layer + ".mlp.down_proj", {hidden, inner}, 0);
  }
  add("model.norm", {hidden}, 1);
  if (!config.flag("tie_word_embeddings", false)) add("lm_head", {vocab, hidden}, 0);
  return tensors;
}

/// A Hugging Face directory with such a model, without tokenizer; goes away with the test.
class TinyCheckpoint {
 public:
  explicit TinyCheckpoint(const nlohmann::json& more = nlohmann::json::object(), ElementType type = ElementType::f16,
                          const std::function<void(Tensors&)>& change = {}) {
    nlohmann::json config = tiny_config(more);
    Tensors tensors = tiny_weights(config, type);
    if (change) change(tensors);
    write_text(directory_ / "config.json", config.dump());
    write_safetensors(directory_ / "model.safetensors", tensors);
  }
  const std::filesystem::path& path() const { return directory_.path(); }
  std::filesystem::path operator/(std::string_view name) const { return directory_ / name; }

 private:
  ScratchDirectory directory_;
};

}  // namespace nibble::test
