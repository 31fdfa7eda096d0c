#include "export/gguf/gguf_layout.hpp"

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <unordered_set>

namespace nibble {

namespace {

/// The shared decoder's names for parts of a layer, and ggml's.
constexpr std::pair<std::string_view, std::string_view> kLayerParts[] = {
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"attention_output_layernorm", "post_attention_norm"},
    {"mlp_output_layernorm", "post_ffw_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.q_a_proj", "attn_q_a"},
    {"self_attn.q_a_layernorm", "attn_q_a_norm"},
    {"self_attn.q_b_proj", "attn_q_b"},
    {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
    {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
    {"self_attn.kv_b_proj", "attn_kv_b"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};

constexpr std::pair<std::string_view, std::string_view> kModelParts[] = {
    {"model.embed_tokens.", "token_embd."},
    {"model.embed_positions.", "position_embd."},
    {"model.norm.", "output_norm."},
    {"model.embed_layernorm.", "token_embd_norm."},
    {"lm_head.", "output."},
};

/// The rows of heads of a stored layer; of rotated pairs (2i, 2i + 1) in the order of halves, which the decoder rotates.
struct HeadRows {
  int64_t first = 0, heads = 0, size = 0;
  int64_t paired = 0;  ///< of a head's rows those that are pairs

  std::vector<RowRun> runs() const {
    if (paired == 0) return {{first, heads * size, 1}};
    std::vector<RowRun> rows;
    for (int64_t h = 0; h < heads; ++h) rows.push_back({first + h * size, size, 1});
    return halved_pairs(rows, paired);
  }
};

/// Fills the map of one decoder.
class Layout {
 public:
  Layout(DecoderConfig& decoder, const GgufArchitecture& architecture, const WeightSource& tensors)
      : decoder_(decoder), architecture_(architecture), tensors_(tensors), own_(std::make_shared<WeightMap>(std::move(decoder.weights))) {}

  void write() {
    decoder_.weights = {};
    decoder_.norm.plus_one = decoder_.attention.head_norm_config.plus_one = false;
    if (own_->find("lm_head.weight").has_unit_rows)
      decoder_.weights.set("lm_head.weight", {.parts = {{.tensor = "output.weight"}}, .has_unit_rows = true});
    write_attention();
    for (int64_t i = 0; i < decoder_.layers; ++i) write_layer(i);
    for (const auto& [own, stored] : kModelParts) decoder_.weights.rename(std::string(own), std::string(stored));
  }

 private:
  bool has(std::string_view name) const { return tensors_.contains(name); }
  bool is(std::string_view architecture) const { return architecture_.name == architecture; }
  static std::string block(int64_t i, std::string_view part) { return fmt::format("blk.{}.{}", i, part); }
  static std::string layer(int64_t i, std::string_view part) { return fmt::format("model.layers.{}.{}", i, part); }

  int64_t rotated_dims() const { return decoder_.ropes.empty() ? 0 : decoder_.ropes.front().dims; }

  void write_attention() {
    const AttentionConfig& a = decoder_.attention;
    if (a.latent) return write_latent();
    bool fused = has("blk.0.attn_qkv.weight"), pairs = architecture_.rotates_pairs;
    if (fused) {
      int64_t keys = a.heads * a.head_dim, values = keys + a.kv_heads * a.head_dim;
      set_heads("self_attn.q_proj", "attn_qkv", 0, a.heads, pairs);
      set_heads("self_attn.k_proj", "attn_qkv", keys, a.kv_heads, pairs);
      set_heads("self_attn.v_proj", "attn_qkv", values, a.kv_heads, false);
    } else if (pairs) {
      set_heads("self_attn.q_proj", "attn_q", 0, a.heads, true);
      set_heads("self_attn.k_proj", "attn_k", 0, a.kv_heads, true);
    }
    if (!pairs || a.head_norm != HeadNorm::each_own) return;
    set_heads("self_attn.q_norm", "attn_q_norm", 0, a.heads, true);
    set_heads("self_attn.k_norm", "attn_k_norm", 0, a.kv_heads, true);
  }

  /// In all layers the layer `own` is heads of the layer `stored`.
  void set_heads(std::string_view own, std::string_view stored, int64_t first, int64_t count, bool pairs) {
    HeadRows rows{first, count, decoder_.attention.head_dim, pairs ? rotated_dims() : 0};
    for (int64_t i = 0; i < decoder_.layers; ++i)
      for (const char* part : {".weight", ".bias"})
        set_maker(layer(i, own) + part, [rows, tensor = block(i, stored) + part] { return WeightRecipe{{{tensor, rows.runs()}}}; });
  }

  /// As in the checkpoint of the family, but that newer files have kv_b_proj in two: the keys' part transposed.
  void write_latent() {
    for (int64_t i = 0; i < decoder_.layers; ++i) {
      for (auto [own, stored] : {std::pair{"self_attn.q_proj", "attn_q"},
                                 {"self_attn.q_b_proj", "attn_q_b"},
                                 {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"}}) {
        std::string name = layer(i, own) + ".weight";
        set_maker(name, [map = own_, name, tensor = block(i, stored) + ".weight"] {
          WeightRecipe recipe = map->find(name);
          recipe.parts.at(0).tensor = tensor;
          return recipe;
        });
      }
      if (!has(block(i, "attn_k_b.weight"))) continue;
      set_maker(layer(i, "self_attn.kv_b_proj.weight"),
                [keys = block(i, "attn_k_b.weight"), values = block(i, "attn_v_b.weight"), heads = decoder_.attention.heads,
                 latent = *decoder_.attention.latent] { return split_kv_b(keys, values, heads, latent); });
    }
  }

  static WeightRecipe split_kv_b(const std::string& keys, const std::string& values, int64_t heads, const LatentConfig& latent) {
    WeightRecipe recipe;
    for (int64_t h = 0; h < heads; ++h) {
      recipe.parts.push_back({keys, {{h * latent.plain_dim, latent.plain_dim, 1}}, true});
      recipe.parts.push_back({values, {{h * latent.value_dim, latent.value_dim, 1}}, false});
    }
    return recipe;
  }

  void set_maker(std::string name, std::function<WeightRecipe()> make) {
    set_.insert(name);
    decoder_.weights.set_maker(std::move(name), std::move(make));
  }

  /// The layer `own` is the layer `stored` as it is.
  void alias(int64_t i, std::string_view own, std::string_view stored) {
    set_if_free(layer(i, own) + ".weight", block(i, stored) + ".weight");
    if (has(block(i, stored) + ".bias")) set_if_free(layer(i, own) + ".bias", block(i, stored) + ".bias");
  }

  /// What was set before stays.
  void set_if_free(std::string name, std::string tensor) {
    if (set_.insert(name).second) decoder_.weights.set(std::move(name), {{{std::move(tensor)}}});
  }

  void write_layer(int64_t i) {
    bool has_experts = !decoder_.layer.empty() && decoder_.layer[static_cast<size_t>(i)].has_experts;
    if (has_experts)
      write_experts(i);
    else if (decoder_.mlp.is_gated && !has(block(i, "ffn_gate.weight")))
      split_gate_up(i);
    decoder_.weights.set(layer(i, "self_attn.sinks"), {{{block(i, "attn_sinks.weight")}}});
    write_exceptions(i);
    for (const auto& [own, stored] : kLayerParts) alias(i, own, stored);
  }

  /// What some architectures call otherwise.
  void write_exceptions(int64_t i) {
    if (is("gpt-oss")) alias(i, "post_attention_layernorm", "post_attention_norm");
    if (is("falcon") && has(block(i, "attn_norm_2.weight"))) {
      alias(i, "input_layernorm", "attn_norm_2");
      alias(i, "post_attention_layernorm", "attn_norm");
    }
  }

  /// Gate, then up in one layer.
  void split_gate_up(int64_t i) {
    int64_t rows = decoder_.mlp.intermediate;
    for (const char* part : {".weight", ".bias"}) {
      std::string tensor = block(i, "ffn_up") + part;
      set_rows(layer(i, "mlp.gate_proj") + part, tensor, {0, rows, 1});
      set_rows(layer(i, "mlp.up_proj") + part, tensor, {rows, rows, 1});
    }
  }

  void set_rows(std::string name, const std::string& tensor, RowRun rows) {
    set_.insert(name);
    decoder_.weights.set(std::move(name), {{{tensor, {rows}}}});
  }

  void write_experts(int64_t i) {
    const MoeConfig& moe = decoder_.moe;
    std::string router = moe.path + "." + moe.router.name;
    decoder_.weights.set(layer(i, router + ".e_score_correction_bias"), {{{block(i, "exp_probs_b.bias")}}});
    alias(i, router, "ffn_gate_inp");
    for (const char* part : {"gate", "up", "down"}) {
      if (has(block(i, fmt::format("ffn_{}.0.weight", part))))
        decoder_.weights.set(layer(i, fmt::format("{}.experts.{}_proj.weight", moe.path, part)), single_experts(i, part));
      else
        alias(i, fmt::format("{}.experts.{}_proj", moe.path, part), fmt::format("ffn_{}_exps", part));
      if (moe.shared) alias(i, fmt::format("{}.{}.{}_proj", moe.path, moe.shared->name, part), fmt::format("ffn_{}_shexp", part));
    }
    alias(i, moe.path + ".experts.gate_up_proj", "ffn_gate_up_interleaved_exps");
    if (moe.shared) alias(i, fmt::format("{}.{}_gate", moe.path, moe.shared->name), "ffn_gate_inp_shexp");
  }

  /// Of files from before experts were stacked.
  WeightRecipe single_experts(int64_t i, std::string_view part) const {
    WeightRecipe recipe;
    for (int64_t e = 0; e < decoder_.moe.experts; ++e) recipe.parts.push_back({block(i, fmt::format("ffn_{}.{}.weight", part, e))});
    return recipe;
  }

  DecoderConfig& decoder_;
  const GgufArchitecture& architecture_;
  const WeightSource& tensors_;
  std::shared_ptr<const WeightMap> own_;  ///< the family's
  std::unordered_set<std::string> set_;   ///< names that have a place
};

}  // namespace

void use_gguf_layout(DecoderConfig& decoder, const GgufArchitecture& architecture, const WeightSource& tensors) {
  Layout(decoder, architecture, tensors).write();
}

}  // namespace nibble
