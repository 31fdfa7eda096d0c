#pragma once

#include <string>
#include <vector>

#include "export/model_weights.hpp"
#include "export/rope.hpp"

namespace nibble {

/// A decoder-only transformer with the Llama skeleton (pre-norm, rotary attention, gated MLP), as data. A family fills
/// this from its config.json; build_decoder makes the graph. Sizes are in elements.
struct DecoderConfig {
  int64_t vocab = 0, hidden = 0, intermediate = 0, layers = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double norm_epsilon = 1e-6;
  std::string activation = "silu";
  Rope rope;
  bool tied_embeddings = false;

  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool query_key_norm = false;   ///< an RMS norm over each head of q and k before the rotation (Qwen3)
  std::vector<int64_t> windows;  ///< per layer: keys a query sees, itself included; 0 = all
};

/// Throws Error{corrupt} where sizes contradict each other (heads that kv_heads does not divide, ...).
void check_decoder_config(const DecoderConfig& config, const std::string& where);

/// The stateful graph that OpenVINO GenAI expects: input_ids [B,S] i64, attention_mask [B,P+S] i64, position_ids [B,S]
/// i64, beam_idx [B] i32 -> logits [B,S,V] f32, with the KV cache in variables past_key_values.N.{key,value}present.N.{key,value}
/// of shape [B,kv_heads,P,head_dim]. Same structure and names as optimum-intel exports, so OpenVINO's own transformations
/// (paged attention, stateful SDPA, RoPE fusion) recognise it.
void build_decoder(Graph& graph, const DecoderConfig& config, std::shared_ptr<const WeightSource> weights, FloatFormat format);

}  // namespace nibble
