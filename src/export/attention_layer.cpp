#include <fmt/format.h>

#include <cmath>

#include "export/blocks.hpp"

namespace nibble {

namespace {

/// Builds the attention of one layer.
class AttentionLayer {
 public:
  AttentionLayer(GraphBuilder& b, ModelWeights& weights, const std::string& path, const DecoderConfig& config,
                 const AttentionInputs& inputs, AttentionContext& context)
      : b_(b), weights_(weights), path_(path), hidden_(config.hidden), config_(config.attention), inputs_(inputs), context_(context) {}

  Value run(Value x) {
    const AttentionConfig& c = config_;
    Value query = rotated(heads(x, "q", c.heads)), key = rotated(heads(x, "k", c.kv_heads)), value = heads(x, "v", c.kv_heads);
    key = context_.extend_cache(inputs_.layer, "key", key, c.kv_heads, c.head_dim);
    value = context_.extend_cache(inputs_.layer, "value", value, c.kv_heads, c.head_dim);
    int64_t repeats = c.heads / c.kv_heads;
    key = context_.repeat_heads(key, c.kv_heads, repeats, c.head_dim);
    value = context_.repeat_heads(value, c.kv_heads, repeats, c.head_dim);
    Value mask = context_.mask(inputs_.window);
    Value mixed = c.softcap == 0 ? attend(query, key, value, mask) : attend_capped(query, key, value, mask);
    Value joined = b_.reshape(b_.transpose(mixed, {0, 2, 1, 3}), {0, 0, c.heads * c.head_dim}, "aten::reshape");
    return linear(b_, weights_, joined, path_ + ".o_proj", c.heads * c.head_dim, hidden_, c.output_bias);
  }

 private:
  float scale() const {
    float own = config_.scale != 0 ? config_.scale : 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
    return own * inputs_.score_factor;
  }

  /// x [B,S,H] -> [B,heads,S,D], normalized where the family does that.
  Value heads(Value x, std::string_view what, int64_t count) {
    const AttentionConfig& c = config_;
    Value projected = linear(b_, weights_, x, fmt::format("{}.{}_proj", path_, what), hidden_, count * c.head_dim, c.qkv_bias);
    bool is_normed = what != "v";
    if (is_normed && c.head_norm == HeadNorm::whole) projected = norm(projected, what, count * c.head_dim, {});
    if (c.clip > 0) {
      Attributes limits{{"min", fmt::format("{}", -c.clip)}, {"max", fmt::format("{}", c.clip)}};
      projected = b_.op("Clamp", {projected}, std::move(limits), "aten::clamp");
    }
    Value split = b_.reshape(projected, {0, 0, count, c.head_dim});
    if (is_normed && c.head_norm == HeadNorm::each) split = norm(split, what, c.head_dim, {});
    if (is_normed && c.head_norm == HeadNorm::each_own) split = norm(split, what, c.head_dim, {count, c.head_dim});
    return b_.transpose(split, {0, 2, 1, 3});
  }

  Value norm(Value x, std::string_view what, int64_t size, const Shape& shape) {
    return normalized(b_, weights_, x, fmt::format("{}.{}_norm", path_, what), config_.head_norm_config, size, shape);
  }

  Value rotated(Value x) { return inputs_.rope ? apply_rotary(b_, x, *inputs_.angles, inputs_.rope->dims, config_.head_dim) : x; }

  Value attend(Value query, Value key, Value value, Value mask) {
    std::vector<Value> inputs{query, key, value, mask, b_.f32(scale())};
    if (config_.has_sinks) inputs.push_back(weights_.vector(path_ + ".sinks", Shape{1, config_.heads, 1, 1}));
    return b_.op("ScaledDotProductAttention", std::move(inputs), {{"causal", "false"}}, "aten::scaled_dot_product_attention");
  }

  /// OpenVINO's operation has no cap.
  Value attend_capped(Value query, Value key, Value value, Value mask) {
    Value scores = b_.multiply(b_.matmul(query, key, true, "aten::matmul"), b_.f32(scale(), 4));
    scores = b_.op("Tanh", {b_.binary("Divide", scores, b_.f32(config_.softcap, 4), "aten::div")}, {}, "aten::tanh");
    scores = b_.add(b_.multiply(scores, b_.f32(config_.softcap, 4)), mask);
    Value weights = b_.op("Softmax", {scores}, {{"axis", "-1"}}, "aten::softmax", "opset8");
    return b_.matmul(weights, value, false, "aten::matmul");
  }

  GraphBuilder& b_;
  ModelWeights& weights_;
  const std::string& path_;
  int64_t hidden_;
  const AttentionConfig& config_;
  const AttentionInputs& inputs_;
  AttentionContext& context_;
};

}  // namespace

Value attention(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, const DecoderConfig& config,
                const AttentionInputs& inputs, AttentionContext& context) {
  GraphBuilder::Module module(b, path);
  return AttentionLayer(b, weights, path, config, inputs, context).run(x);
}

}  // namespace nibble
