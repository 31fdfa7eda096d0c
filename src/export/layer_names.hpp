#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "export/decoder.hpp"

// How families say where the weights of build_decoder's layers lie. In names of the checkpoint "{}" stands for the layer's number.
namespace nibble {

/// {"self_attn.o_proj", "attn.c_proj"}: what follows "model.layers.N." and what follows `layers` with the number put in.
using LayerNames = std::initializer_list<std::pair<std::string_view, std::string_view>>;
void rename_layers(DecoderConfig& config, std::string_view layers, LayerNames names);

enum class QkvOrder {
  stacked,  ///< rows of all queries, all keys, all values
  grouped,  ///< for each key head its queries, the key, the value
};

/// How heads' rows are stored.
struct HeadRows {
  bool transposed = false;  ///< [in, out]
  bool pairs = false;       ///< rotated dimensions are (2i, 2i + 1), not (i, i + rotated / 2)
};

/// q, k and v in one layer.
void fuse_qkv(DecoderConfig& config, std::string_view layer, QkvOrder order, HeadRows rows = {});
/// q_proj and k_proj whose rotated dimensions are pairs; `attention`: "model.layers.{}.self_attn".
void rotate_pairs(DecoderConfig& config, std::string_view attention);
/// The norms of such heads, one weight for each dimension of each (q_norm, k_norm).
void rotate_pairs_of_norms(DecoderConfig& config, std::string_view attention);
/// Gate and up in one layer.
void fuse_gate_up(DecoderConfig& config, std::string_view layer);
/// A layer `name` of the decoder ("mlp.up_proj") that is stored as [in, out].
void transpose_layer(DecoderConfig& config, std::string_view name, std::string_view layer);

/// Experts' layers {"gate_proj", "w1"} that lie one by one in `experts`.E.<stored>.weight ("model.layers.{}.mlp.experts").
void stack_experts(DecoderConfig& config, std::string_view experts, LayerNames names);
/// The layers of all experts in tensors [experts, rows, columns]: gate, then up in `input`, down in `output`.
void split_experts(DecoderConfig& config, std::string_view input, std::string_view output);

}  // namespace nibble
