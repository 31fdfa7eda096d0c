#pragma once

#include "graph/graph.hpp"

namespace nibble {

/// Weight decompression is written in f16: Convert(code) -> Subtract(zero point) -> Multiply(scale), rounded at every
/// step. OpenVINO's CPU computes it in f32, and so does every Nibble device: this pass retypes these constant chains.
///
/// As on OpenVINO's CPU, values are rounded to f16 once where a reader takes them in f16, and where a weight cannot stay
/// compressed: when anything but MatMul and Gather layers reads it (OPT and GPT-2 exports with tied embeddings ask for the
/// table's shape), its readers get the f16 result; only Gather always looks up in f32.
void decompress_in_f32(Graph& graph);

}  // namespace nibble
