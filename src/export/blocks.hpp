#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "export/decoder.hpp"
#include "export/graph_builder.hpp"

// The building blocks that families share. Shapes: B rows, S new tokens, P past tokens, K = P + S, H hidden, D head size.
namespace nibble {

/// x / sqrt(mean(x^2) + epsilon) * weight over the last axis, as OpenVINO's RMS fusion expects it; no weight: 1.
Value rms_norm(GraphBuilder& b, Value x, Value weight, double epsilon);
/// (x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis, as OpenVINO's MVN fusion expects it; what is missing is left
/// out.
Value layer_norm(GraphBuilder& b, Value x, Value weight, Value bias, double epsilon);
/// The norm `path` over the last axis of x, which has `size` elements; its weights lie in `shape` (empty: [size]).
Value normalized(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, const NormConfig& config, int64_t size,
                 const Shape& shape = {});

/// x[..., in] times W[out, in] transposed, plus the bias if the checkpoint's configuration has one.
Value linear(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t in, int64_t out, bool bias);

/// Applies an activation under its Hugging Face name ("silu", "gelu_pytorch_tanh", ...); throws Error{unsupported}.
Value activation(GraphBuilder& b, Value x, std::string_view name);

/// down(act(gate(x)) * up(x)), or down(act(up(x))).
Value mlp(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t hidden, const MlpConfig& config);

/// cos and sin of the rotation, each [B,1,S,dims].
struct RotaryAngles {
  Value cosine, sine;
};
RotaryAngles rotary_angles(GraphBuilder& b, Value position_ids, const Rope& rope);
/// Rotates the first `dims` of x[B,heads,S,D], halves convention (i with i + dims/2).
Value apply_rotary(GraphBuilder& b, Value x, const RotaryAngles& angles, int64_t dims, int64_t head_dim);

/// The model's inputs and what every attention layer shares: lengths, masks and expanded shapes, made once.
class AttentionContext {
 public:
  struct Inputs {
    Value input_ids, attention_mask, position_ids, beam_idx;
  };
  /// `is_mixed`: states are named as those of models that have other states than keys and values too.
  AttentionContext(GraphBuilder& b, const Inputs& inputs, AlibiConfig alibi, bool is_mixed)
      : b_(b),
        input_ids_(inputs.input_ids),
        attention_mask_(inputs.attention_mask),
        position_ids_(inputs.position_ids),
        beam_idx_(inputs.beam_idx),
        alibi_(std::move(alibi)),
        is_mixed_(is_mixed) {}

  /// Appends `fresh` [B,hidden,S] to the last `count` tokens of the state of convolution N, which becomes the last ones of the result
  /// [B,hidden,count+S].
  Value extend_tokens(int64_t layer, Value fresh, int64_t hidden, int64_t count);
  /// 1 for the new tokens, 0 for those that are padding: [B,1,S].
  Value fresh_mask();
  /// Appends `fresh` [B,heads,S,D] to the state `past_key_values.N.<what>`; returns all keys or values [B,heads,K,D].
  Value extend_cache(int64_t layer, const std::string& what, Value fresh, int64_t heads, int64_t head_dim);
  /// Additive mask [B,1,S,K], causal and with padding, limited to `window` keys unless that is 0; [B,heads,S,K] with ALiBi.
  Value mask(int64_t window);
  /// Repeats each of the kv heads: [B,kv,K,D] -> [B,kv*repeats,K,D].
  Value repeat_heads(Value x, int64_t kv_heads, int64_t repeats, int64_t head_dim);

 private:
  struct State {
    Value past;
    std::string name, variable;
  };
  State state(int64_t layer, const std::string& what, Value empty_shape, const std::string& shape);
  void assign(const State& state, Value value);
  void set_lengths(Value past);
  Value visible(int64_t window);
  Value key_index();
  Value additive_mask(Value seen);
  Value sloped_mask(Value seen);
  Value real_places();
  Value rounded_places();
  Value padding(Value key_index);
  Value batch_vector();

  GraphBuilder& b_;
  Value input_ids_, attention_mask_, position_ids_, beam_idx_;
  AlibiConfig alibi_;
  bool is_mixed_;
  Value fresh_mask_;
  Value batch_;                      // [1]: B
  Value past_length_, new_length_;   // scalars P and S, from the first layer's cache
  Value new_vector_, total_vector_;  // [1]: S and K
  std::map<int64_t, Value> masks_;   // by window
  std::map<std::tuple<int64_t, int64_t, int64_t>, Value> repeat_shapes_;
  Value first_cache_;
};

/// What an attention layer has of its own.
struct AttentionInputs {
  int64_t layer = 0, window = 0;
  const Rope* rope = nullptr;  ///< nullptr: without positions
  const RotaryAngles* angles = nullptr;
  float score_factor = 1;
};

/// The attention of a layer, its projections included: x [B,S,H] -> [B,S,H].
Value attention(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, const DecoderConfig& config,
                const AttentionInputs& inputs, AttentionContext& context);

/// The same with keys and values that are expanded from a latent vector; config.attention.latent says how.
Value latent_attention(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, const DecoderConfig& config,
                       const AttentionInputs& inputs, AttentionContext& context);

/// A mixture of experts: x [B,S,H] -> [B,S,H]. `path`: of the block ("model.layers.0.mlp").
Value mixture_of_experts(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t hidden, const MoeConfig& config);

/// A gated convolution over the last tokens: x [B,S,H] -> [B,S,H]. `index` counts such layers.
Value short_convolution(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t hidden,
                        const ShortConvConfig& config, int64_t index, AttentionContext& context);

}  // namespace nibble
