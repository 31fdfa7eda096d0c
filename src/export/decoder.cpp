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
      : graph_(graph), b_(graph), config_(config), weights_(b_, std::move(source), config.weights, format) {}

  void build() {
    graph_.name() = "Model0";
    Value input_ids = graph_.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "input_ids").output();
    Value attention_mask = graph_.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "attention_mask").output();
    position_ids_ = graph_.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "position_ids").output();
    Value beam_idx = graph_.add_parameter(ElementType::i32, {kDynamic}, "beam_idx").output();
    AttentionContext context(b_, {input_ids, attention_mask, position_ids_, beam_idx}, config_.attention.alibi,
                             config_.convolution.has_value());
    Value hidden = embed(input_ids);
    for (const Rope& rope : config_.ropes) angles_.push_back(rotary_angles(b_, position_ids_, rope));
    for (int64_t i = 0; i < config_.layers; ++i) hidden = layer(i, hidden, context);
    if (config_.has_final_norm) hidden = norm(hidden, "model.norm");
    Value logits = head(hidden);
    logits.node->output_info().names.insert("logits");
    graph_.add("Result", {logits});
  }
  TakenWeights taken() const { return weights_.take(); }

 private:
  Value scaled(Value x, float factor) { return factor == 1 ? x : b_.multiply(x, b_.f32(factor, x.shape().rank())); }

  Value norm(Value x, const std::string& path) { return normalized(b_, weights_, x, path, config_.norm, config_.hidden); }

  int64_t embedding_width() const { return config_.embedding ? config_.embedding : config_.hidden; }

  Value look_up(const std::string& path, Value ids, int64_t rows, int64_t columns) {
    std::string name = path + ".weight";
    Value table = weights_.matrix(name, {rows, columns}, "embedding");
    GraphBuilder::Module module(b_, path);
    std::string torch_name = weights_.consumer_name(name, "embedding");
    Value indices = b_.op("Convert", {ids}, {{"destination_type", "i32"}}, torch_name);
    return b_.op("Gather", {table, indices, b_.i32(0)}, {{"batch_dims", "0"}}, torch_name, "opset8");
  }

  Value embed(Value input_ids) {
    Value x = scaled(look_up("model.embed_tokens", input_ids, config_.vocab, embedding_width()), config_.embedding_scale);
    if (config_.embedding) x = linear(b_, weights_, x, "model.project_in", config_.embedding, config_.hidden, false);
    if (config_.positions) {
      GraphBuilder::Module module(b_, "model");
      Value positions = config_.positions->offset ? b_.add(position_ids_, b_.i64(config_.positions->offset)) : position_ids_;
      x = b_.add(x, look_up("model.embed_positions", positions, config_.positions->entries, config_.hidden));
    }
    return config_.has_embedding_norm ? norm(x, "model.embed_layernorm") : x;
  }

  LayerConfig layer_config(int64_t index) const {
    if (!config_.layer.empty()) return config_.layer[static_cast<size_t>(index)];
    return {.window = 0, .rope = config_.ropes.empty() ? -1 : 0};
  }

  Value layer(int64_t index, Value x, AttentionContext& context) {
    std::string path = fmt::format("model.layers.{}", index);
    LayerConfig own = layer_config(index);
    AttentionInputs inputs{index - convolutions_, own.window, own.rope < 0 ? nullptr : &config_.ropes[static_cast<size_t>(own.rope)],
                           own.rope < 0 ? nullptr : &angles_[static_cast<size_t>(own.rope)], own.score_factor};
    auto attended = [&](Value v) {
      if (own.has_convolution)
        return short_convolution(b_, weights_, v, path + ".conv", config_.hidden, *config_.convolution, convolutions_++, context);
      auto build = config_.attention.latent ? latent_attention : attention;
      return build(b_, weights_, v, path + ".self_attn", config_, inputs, context);
    };
    auto transformed = [&](Value v) {
      if (own.has_experts) return mixture_of_experts(b_, weights_, v, path + "." + config_.moe.path, config_.hidden, config_.moe);
      return mlp(b_, weights_, v, path + ".mlp", config_.hidden, config_.mlp);
    };
    auto normed = [&](Value v, std::string_view name) { return norm(v, fmt::format("{}.{}", path, name)); };
    auto sum = [&](Value a, Value b) {
      GraphBuilder::Module module(b_, path);
      return b_.add(a, scaled(b, config_.residual_scale));
    };
    switch (config_.residual) {
      case Residual::serial:
        x = sum(x, attended(normed(x, "input_layernorm")));
        return sum(x, transformed(normed(x, "post_attention_layernorm")));
      case Residual::parallel: {
        Value shared = normed(x, "input_layernorm");
        return sum(sum(x, attended(shared)), transformed(shared));
      }
      case Residual::parallel_2:
        return sum(sum(x, attended(normed(x, "input_layernorm"))), transformed(normed(x, "post_attention_layernorm")));
      case Residual::outputs:
        x = sum(x, normed(attended(x), "attention_output_layernorm"));
        return sum(x, normed(transformed(x), "mlp_output_layernorm"));
      case Residual::sandwich:
        x = sum(x, normed(attended(normed(x, "input_layernorm")), "attention_output_layernorm"));
        return sum(x, normed(transformed(normed(x, "post_attention_layernorm")), "mlp_output_layernorm"));
      case Residual::sums:
        x = normed(sum(x, attended(x)), "input_layernorm");
        return normed(sum(x, transformed(x)), "post_attention_layernorm");
    }
    return x;
  }

  Value head(Value hidden) {
    if (config_.embedding) hidden = linear(b_, weights_, hidden, "model.project_out", config_.hidden, config_.embedding, false);
    Value logits = config_.tied_embeddings ? tied_head(hidden)
                                           : linear(b_, weights_, hidden, "lm_head", embedding_width(), config_.vocab, config_.head_bias);
    GraphBuilder::Module module(b_, "lm_head");
    logits = scaled(logits, config_.logit_scale);
    if (config_.logit_softcap == 0) return logits;
    Value capped = b_.op("Tanh", {scaled(logits, 1 / config_.logit_softcap)}, {}, "aten::tanh");
    return scaled(capped, config_.logit_softcap);
  }

  Value tied_head(Value hidden) {
    std::string embedding = "model.embed_tokens.weight";
    GraphBuilder::Module module(b_, "lm_head");
    Value table = weights_.matrix(embedding, {config_.vocab, embedding_width()}, "embedding");
    std::string torch_name = weights_.consumer_name(embedding, "linear");
    Value logits = b_.matmul(hidden, table, true, torch_name);
    if (!config_.head_bias) return logits;
    return b_.binary("Add", logits, weights_.vector("lm_head.bias", config_.vocab, hidden.shape().rank()), torch_name);
  }

  Graph& graph_;
  GraphBuilder b_;
  const DecoderConfig& config_;
  ModelWeights weights_;
  Value position_ids_;
  std::vector<RotaryAngles> angles_;
  int64_t convolutions_ = 0;  // layers so far that have one
};

void check_latent(const LatentConfig& c, const std::string& where) {
  for (int64_t size : {c.plain_dim, c.rotated_dim, c.value_dim})
    if (size < 1 || size > 65536) fail(ErrorKind::corrupt, "{}: heads of {} elements are not possible", where, size);
}

}  // namespace

void check_decoder_config(const DecoderConfig& config, const std::string& where) {
  const AttentionConfig& a = config.attention;
  if (a.kv_heads > a.heads || a.heads % a.kv_heads != 0)
    fail(ErrorKind::corrupt, "{}: {} attention heads cannot share {} key/value heads", where, a.heads, a.kv_heads);
  if (config.layers > 10000) fail(ErrorKind::corrupt, "{}: {} layers are more than any model has", where, config.layers);
  if (a.heads > 65536) fail(ErrorKind::corrupt, "{}: {} attention heads are more than any model has", where, a.heads);
  if (a.latent) check_latent(*a.latent, where);
  if (a.head_dim > 65536) fail(ErrorKind::corrupt, "{}: heads of {} elements are more than any model has", where, a.head_dim);
}

TakenWeights build_decoder(Graph& graph, const DecoderConfig& config, std::shared_ptr<const WeightSource> weights, FloatFormat format) {
  DecoderBuilder builder(graph, config, std::move(weights), format);
  builder.build();
  return builder.taken();
}

}  // namespace nibble
