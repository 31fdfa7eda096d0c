#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// Granite with experts.
DecoderConfig configure_granitemoe(const ModelConfig& config) {
  refuse(config, "position_embedding_type", config.text("position_embedding_type", "rope") != "rope");
  DecoderConfig c = configure_granite(config);
  c.mlp.has_bias = false;
  MoeConfig moe{.path = "block_sparse_moe",
                .experts = config.size("num_local_experts", 8),
                .chosen = config.size("num_experts_per_tok", 2),
                .intermediate = c.mlp.intermediate};
  moe.router.name = "router.layer";
  moe.router.kind = RouterKind::kept_softmax;
  set_experts(c, std::move(moe), config);
  split_experts(c, "model.layers.{}.block_sparse_moe.input_linear.weight", "model.layers.{}.block_sparse_moe.output_linear.weight");
  return c;
}

}  // namespace nibble
