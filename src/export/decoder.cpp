#include "export/decoder.hpp"

#include <cmath>

#include "base/fail.hpp"
#include "export/blocks.hpp"

namespace nibble {

namespace {

/// Builds one decoder; the members are what all layers share.
class DecoderBuilder {
 public:
  DecoderBuilder(Graph& graph, const DecoderConfig& config, std::shared_ptr<const WeightSource> source, FloatFormat format)
      : graph_(graph), b_(graph), config_(config), prefix_(find_prefix(*source)), weights_(b_, std::move(source), format) {}

  void build() {
    graph_.name() = "Model0";
    Value input_ids = graph_.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "input_ids").output();
    Value attention_mask = graph_.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "attention_mask").output();
    Value position_ids = graph_.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "position_ids").output();
    Value beam_idx = graph_.add_parameter(ElementType::i32, {kDynamic}, "beam_idx").output();
    AttentionContext attention(b_, input_ids, attention_mask, beam_idx);

    Value hidden = embed(input_ids);
    RotaryAngles angles = rotary_angles(b_, position_ids, config_.rope);
    for (int64_t i = 0; i < config_.layers; ++i) hidden = layer(i, hidden, angles, attention);
    hidden = norm(hidden, prefix_ + "norm", config_.hidden);
    Value logits = head(hidden);
    logits.node->output_info().names.insert("logits");
    graph_.add("Result", {logits});
  }

 private:
  /// Checkpoints of the bare model lack the "model." that those of the causal language model have.
  static std::string find_prefix(const WeightSource& source) {
    return !source.contains("model.embed_tokens.weight") && source.contains("embed_tokens.weight") ? "" : "model.";
  }

  Value embed(Value input_ids) {
    std::string path = prefix_ + "embed_tokens", name = path + ".weight";
    Value table = weights_.matrix(name, {config_.vocab, config_.hidden}, "embedding");
    GraphBuilder::Module module(b_, path);
    std::string torch_name = weights_.consumer_name(name, "embedding");
    Value ids = b_.op("Convert", {input_ids}, {{"destination_type", "i32"}}, torch_name);
    return b_.op("Gather", {table, ids, b_.i32(0)}, {{"batch_dims", "0"}}, torch_name, "opset8");
  }

  Value norm(Value x, const std::string& path, int64_t size) {
    GraphBuilder::Module module(b_, path);
    return rms_norm(b_, x, weights_.vector(path + ".weight", size, x.shape().rank()), config_.norm_epsilon);
  }

  /// x [B,S,H] -> [B,heads,S,D], with the head norm if the family has one.
  Value project_heads(Value x, const std::string& path, std::string_view what, int64_t heads, bool with_norm) {
    std::string name = fmt::format("{}.{}_proj", path, what);
    Value projected = linear(b_, weights_, x, name, config_.hidden, heads * config_.head_dim, config_.qkv_bias);
    Value split = b_.reshape(projected, {0, 0, heads, config_.head_dim});
    if (with_norm) split = norm(split, fmt::format("{}.{}_norm", path, what), config_.head_dim);
    return b_.transpose(split, {0, 2, 1, 3});
  }

  Value attend(int64_t index, Value x, const std::string& path, const RotaryAngles& angles, AttentionContext& context) {
    GraphBuilder::Module module(b_, path);
    const auto& c = config_;
    Value query = apply_rotary(b_, project_heads(x, path, "q", c.heads, c.query_key_norm), angles, c.rope.dims, c.head_dim);
    Value key = apply_rotary(b_, project_heads(x, path, "k", c.kv_heads, c.query_key_norm), angles, c.rope.dims, c.head_dim);
    Value value = project_heads(x, path, "v", c.kv_heads, false);
    key = context.extend_cache(index, "key", key, c.kv_heads, c.head_dim);
    value = context.extend_cache(index, "value", value, c.kv_heads, c.head_dim);
    Value mask = context.mask(c.windows.empty() ? 0 : c.windows[static_cast<size_t>(index)]);
    int64_t repeats = c.heads / c.kv_heads;
    Value scale = b_.f32(1.0f / std::sqrt(static_cast<float>(c.head_dim)));
    Value mixed = b_.op("ScaledDotProductAttention",
                        {query, context.repeat_heads(key, c.kv_heads, repeats, c.head_dim),
                         context.repeat_heads(value, c.kv_heads, repeats, c.head_dim), mask, scale},
                        {{"causal", "false"}}, "aten::scaled_dot_product_attention");
    Value joined = b_.reshape(b_.transpose(mixed, {0, 2, 1, 3}), {0, 0, c.heads * c.head_dim}, "aten::reshape");
    return linear(b_, weights_, joined, path + ".o_proj", c.heads * c.head_dim, c.hidden, c.output_bias);
  }

  Value layer(int64_t index, Value x, const RotaryAngles& angles, AttentionContext& context) {
    std::string path = fmt::format("{}layers.{}", prefix_, index);
    Value normed = norm(x, path + ".input_layernorm", config_.hidden);
    Value attended = attend(index, normed, path + ".self_attn", angles, context);
    GraphBuilder::Module module(b_, path);
    x = b_.add(x, attended);
    normed = norm(x, path + ".post_attention_layernorm", config_.hidden);
    return b_.add(x, gated_mlp(b_, weights_, normed, path + ".mlp", config_));
  }

  Value head(Value hidden) {
    if (!config_.tied_embeddings) return linear(b_, weights_, hidden, "lm_head", config_.hidden, config_.vocab, false);
    std::string embedding = prefix_ + "embed_tokens.weight";
    GraphBuilder::Module module(b_, "lm_head");
    Value table = weights_.matrix(embedding, {config_.vocab, config_.hidden}, "embedding");
    return b_.matmul(hidden, table, true, weights_.consumer_name(embedding, "linear"));
  }

  Graph& graph_;
  GraphBuilder b_;
  const DecoderConfig& config_;
  std::string prefix_;
  ModelWeights weights_;
};

}  // namespace

void check_decoder_config(const DecoderConfig& config, const std::string& where) {
  if (config.kv_heads > config.heads || config.heads % config.kv_heads != 0)
    fail(ErrorKind::corrupt, "{}: {} attention heads cannot share {} key/value heads", where, config.heads, config.kv_heads);
  if (config.layers > 10000) fail(ErrorKind::corrupt, "{}: {} layers are more than any model has", where, config.layers);
  if (config.head_dim > 65536) fail(ErrorKind::corrupt, "{}: heads of {} elements are more than any model has", where, config.head_dim);
}

void build_decoder(Graph& graph, const DecoderConfig& config, std::shared_ptr<const WeightSource> weights, FloatFormat format) {
  DecoderBuilder(graph, config, std::move(weights), format).build();
}

}  // namespace nibble
