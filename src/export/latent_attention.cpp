#include <fmt/format.h>

#include <limits>

#include "base/fail.hpp"
#include "export/blocks.hpp"

namespace nibble {

namespace {

/// Builds the attention of one layer, with keys and values expanded for every head as optimum-intel exports it.
class LatentAttention {
 public:
  LatentAttention(GraphBuilder& b, ModelWeights& weights, const std::string& path, const DecoderConfig& config,
                  const AttentionInputs& inputs, AttentionContext& context)
      : b_(b),
        weights_(weights),
        path_(path),
        hidden_(config.hidden),
        config_(config.attention),
        latent_(*config.attention.latent),
        inputs_(inputs),
        context_(context) {}

  Value run(Value x) {
    Value query = queries(x);
    auto [key, value] = keys_and_values(x);
    key = context_.extend_cache(inputs_.layer, "key", key, config_.heads, latent_.key_dim());
    value = context_.extend_cache(inputs_.layer, "value", value, config_.heads, latent_.value_dim);
    Value mixed = b_.op("ScaledDotProductAttention", {query, key, value, context_.mask(inputs_.window), b_.f32(config_.scale)},
                        {{"causal", "false"}}, "aten::scaled_dot_product_attention");
    int64_t width = config_.heads * latent_.value_dim;
    Value joined = b_.reshape(b_.transpose(mixed, {0, 2, 1, 3}), {0, 0, width}, "aten::reshape");
    return project(joined, "o_proj", width, hidden_, config_.output_bias);
  }

 private:
  Value project(Value x, std::string_view what, int64_t in, int64_t out, bool bias = false) {
    return linear(b_, weights_, x, fmt::format("{}.{}", path_, what), in, out, bias);
  }

  Value norm(Value x, std::string_view what, int64_t size) {
    return normalized(b_, weights_, x, fmt::format("{}.{}", path_, what), latent_.norm, size);
  }

  /// x [B,S,heads*size] -> [B,heads,S,size]
  Value heads(Value x, int64_t heads, int64_t size) { return b_.transpose(b_.reshape(x, {0, 0, heads, size}), {0, 2, 1, 3}); }

  Value from(Value x, int64_t begin, int64_t axis) { return b_.slice(x, begin, std::numeric_limits<int64_t>::max(), axis); }

  Value rotated(Value x) { return apply_rotary(b_, x, *inputs_.angles, latent_.rotated_dim, latent_.rotated_dim); }

  Value queries(Value x) {
    int64_t rank = latent_.query_rank, width = config_.heads * latent_.key_dim();
    if (rank > 0) x = norm(project(x, "q_a_proj", hidden_, rank, config_.qkv_bias), "q_a_layernorm", rank);
    Value all = rank > 0 ? project(x, "q_b_proj", rank, width) : project(x, "q_proj", hidden_, width);
    Value query = heads(all, config_.heads, latent_.key_dim());
    return b_.concat({b_.slice(query, 0, latent_.plain_dim, 3), rotated(from(query, latent_.plain_dim, 3))}, -1);
  }

  std::pair<Value, Value> keys_and_values(Value x) {
    int64_t rank = latent_.rank;
    Value compressed = project(x, "kv_a_proj_with_mqa", hidden_, rank + latent_.rotated_dim, config_.qkv_bias);
    Value shared = rotated(heads(from(compressed, rank, 2), 1, latent_.rotated_dim));  // one key's rotated part for all heads
    Value latent = norm(b_.slice(compressed, 0, rank, 2), "kv_a_layernorm", rank);
    int64_t size = latent_.plain_dim + latent_.value_dim;
    Value expanded = heads(project(latent, "kv_b_proj", rank, config_.heads * size), config_.heads, size);
    Value repeated = b_.op("Broadcast", {shared, b_.i64s({1, config_.heads, 1, 1})}, {{"mode", "bidirectional"}}, "aten::expand", "opset3");
    return {b_.concat({b_.slice(expanded, 0, latent_.plain_dim, 3), repeated}, -1), from(expanded, latent_.plain_dim, 3)};
  }

  GraphBuilder& b_;
  ModelWeights& weights_;
  const std::string& path_;
  int64_t hidden_;
  const AttentionConfig& config_;
  const LatentConfig& latent_;
  const AttentionInputs& inputs_;
  AttentionContext& context_;
};

}  // namespace

Value latent_attention(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, const DecoderConfig& config,
                       const AttentionInputs& inputs, AttentionContext& context) {
  GraphBuilder::Module module(b, path);
  return LatentAttention(b, weights, path, config, inputs, context).run(x);
}

}  // namespace nibble
