#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// Baichuan 1 and 2: 7B rotates, 13B has ALiBi (and no max_position_embeddings). Baichuan 2 divides each row of its head by its length.
DecoderConfig configure_baichuan(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 125696, .max_positions = 4096});
  c.tied_embeddings = config.flag("tie_word_embeddings", false);
  if (!config.has("max_position_embeddings")) {
    c.ropes.clear();
    c.attention.alibi.slopes = alibi_slopes(c.attention.heads);
  }
  fuse_qkv(c, "model.layers.{}.self_attn.W_pack", QkvOrder::stacked);
  if (config.has("z_loss_weight") || c.vocab == 125696)
    c.weights.set("lm_head.weight", {.parts = {{.tensor = "lm_head.weight"}}, .has_unit_rows = true});
  return c;
}

}  // namespace nibble
