#pragma once

#include "graph/graph.hpp"

namespace nibble {

/// Weight decompression is written in f16: Convert(code) -> Subtract(zero point) -> Multiply(scale), rounded at every
/// step. OpenVINO's CPU computes it in f32, and so does every Nibble device: this pass retypes these constant chains.
/// What reads a chain's end in f16 gets it rounded once; so does, as on OpenVINO's CPU, a MatMul that reads a result shared
/// with other layers through a Convert of its own (tied embeddings in some exports).
void decompress_in_f32(Graph& graph);

}  // namespace nibble
