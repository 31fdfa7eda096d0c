#pragma once

#include <optional>
#include <string>
#include <vector>

#include "export/model_weights.hpp"
#include "export/moe_config.hpp"
#include "export/rope.hpp"
#include "export/weight_map.hpp"

namespace nibble {

enum class NormKind { rms, layer };

/// How norms are computed and what of them is stored.
struct NormConfig {
  NormKind kind = NormKind::rms;
  double epsilon = 1e-6;
  bool has_weight = true, has_bias = false;
  bool plus_one = false;  ///< the weight is stored as its difference from 1 (Gemma)
};

/// How a block adds the outputs of attention and MLP to its input x. The norms' names are in brackets.
enum class Residual {
  serial,      ///< x += attention([input_layernorm] x); x += mlp([post_attention_layernorm] x)
  parallel,    ///< x += attention([input_layernorm] x) + mlp(the same)
  parallel_2,  ///< x += attention([input_layernorm] x) + mlp([post_attention_layernorm] x)
  outputs,     ///< x += [attention_output_layernorm] attention(x); x += [mlp_output_layernorm] mlp(x)
  sandwich,    ///< x += [attention_output_layernorm] attention([input_layernorm] x); the MLP likewise
  sums,        ///< x = [input_layernorm] (x + attention(x)); x = [post_attention_layernorm] (x + mlp(x))
};

/// What is normalized of queries and keys before the rotation (q_norm, k_norm).
enum class HeadNorm {
  none,
  each,      ///< every head, with one weight [head_dim] for all
  each_own,  ///< every head, with a weight for each: [heads, head_dim]
  whole,     ///< all heads together: [heads * head_dim]
};

/// Keys and values that are projections of one small vector per token (multi-head latent attention, DeepSeek). A head's queries and keys
/// have a plain part, then a rotated one; the rotated part of the key is the same for all heads.
struct LatentConfig {
  int64_t query_rank = 0;                                 ///< width between q_a_proj and q_b_proj; 0: one q_proj
  int64_t rank = 0;                                       ///< width of the vector that kv_b_proj expands
  int64_t plain_dim = 0, rotated_dim = 0, value_dim = 0;  ///< per head
  NormConfig norm;                                        ///< q_a_layernorm, kv_a_layernorm
  int64_t key_dim() const { return plain_dim + rotated_dim; }
};

/// Added to the scores of a head: slope * key position.
struct AlibiConfig {
  std::vector<float> slopes;  ///< per head; empty: none
  float bf16_unit = 0;        ///< not 0: bf16_unit * bf16(slope * bf16(key position)) instead, with slopes that are bf16 numbers
};

struct AttentionConfig {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  bool qkv_bias = false, output_bias = false;
  HeadNorm head_norm = HeadNorm::none;
  NormConfig head_norm_config;
  float scale = 0;         ///< of the scores; 0: 1 / sqrt(head_dim)
  float softcap = 0;       ///< scores become softcap * tanh(score / softcap); 0: none
  float clip = 0;          ///< q, k and v are clamped to +-clip, behind a norm of the whole; 0: none
  bool has_sinks = false;  ///< self_attn.sinks [heads]: one more score for every head, whose weight is dropped
  AlibiConfig alibi;
  std::optional<LatentConfig> latent;  ///< with `scale` set; kv_heads, head_dim, norms of heads and what changes scores are not used then
};

struct MlpConfig {
  bool is_gated = true;  ///< down(act(gate(x)) * up(x)); else down(act(up(x)))
  int64_t intermediate = 0;
  std::string activation = "silu";
  bool has_bias = false;
};

/// Positions that are learned: a table [entries, hidden] (embed_positions) added to the embeddings.
struct LearnedPositions {
  int64_t entries = 0, offset = 0;
};

/// A gated convolution over the last tokens in the place of attention: out_proj(c * conv(b * x)) with b, c, x = in_proj(input).
struct ShortConvConfig {
  int64_t kernel = 3;  ///< tokens
  bool has_bias = false;
};

/// What differs between layers.
struct LayerConfig {
  int64_t window = 0;            ///< keys a query sees, itself included; 0 = all
  int rope = 0;                  ///< index into DecoderConfig::ropes; -1 = none
  float score_factor = 1;        ///< of attention's scores, besides their scale
  bool has_experts = false;      ///< DecoderConfig::moe in the place of the MLP
  bool has_convolution = false;  ///< DecoderConfig::convolution in the place of attention
};

/// A decoder-only transformer, as data. A family fills this from its config.json; build_decoder makes the graph. Sizes are in elements.
struct DecoderConfig {
  int64_t vocab = 0, hidden = 0, layers = 0;
  int64_t embedding = 0;  ///< width of the embeddings where project_in and project_out change it; 0 = hidden
  NormConfig norm;
  Residual residual = Residual::serial;
  AttentionConfig attention;
  MlpConfig mlp;
  MoeConfig moe;
  std::optional<ShortConvConfig> convolution;  ///< not there: no layer has one
  std::vector<Rope> ropes;
  std::optional<LearnedPositions> positions;
  std::vector<LayerConfig> layer;  ///< one for each layer; empty: LayerConfig{} for all, without rope where there is none

  bool has_embedding_norm = false;  ///< embed_layernorm
  bool has_final_norm = true;
  bool tied_embeddings = false, head_bias = false;
  float embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  float logit_softcap = 0;

  WeightMap weights;  ///< where what build_decoder asks for lies in the checkpoint
};

/// Throws Error{corrupt} where sizes contradict each other (heads that kv_heads does not divide, ...).
void check_decoder_config(const DecoderConfig& config, const std::string& where);

/// The stateful graph that OpenVINO GenAI expects: input_ids [B,S] i64, attention_mask [B,P+S] i64, position_ids [B,S]
/// i64, beam_idx [B] i32 -> logits [B,S,V] f32, with the KV cache in variables past_key_values.N.{key,value}present.N.{key,value}
/// of shape [B,kv_heads,P,head_dim]; with convolutions in cache_params.past.{key,value,conv}.Ncache_params.present.{key,value,conv}.N,
/// where N counts the layers of either kind, conv of shape [B,hidden,kernel]. Same structure and names as optimum-intel exports, so
/// OpenVINO's own transformations (paged attention, stateful SDPA, RoPE fusion) recognise it.
///
/// Weights are asked for by Llama's names: model.embed_tokens, model.embed_positions, model.embed_layernorm, model.layers.N.{the norms of
/// Residual, self_attn.{q,k,v,o}_proj, self_attn.{q,k}_norm, self_attn.sinks, mlp.{gate,up,down}_proj}, model.norm, model.project_in,
/// model.project_out, lm_head. Those of experts: moe.path.{router, experts.{gate,up,down,gate_up}_proj, shared expert}; of latent
/// attention: DeepSeek's; of convolutions: conv.{in_proj, conv, out_proj}.
///
/// Throws Error{not_found} with the names of all tensors that are missing.
TakenWeights build_decoder(Graph& graph, const DecoderConfig& config, std::shared_ptr<const WeightSource> weights, FloatFormat format);

}  // namespace nibble
