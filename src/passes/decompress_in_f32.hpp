#pragma once

#include "graph/graph.hpp"

namespace nibble {

/// Weight decompression is written in f16: Convert(code) -> Subtract(zero point) -> Multiply(scale), rounded at every
/// step, then usually Convert to f32. OpenVINO's CPU computes it in f32 where it keeps the weight compressed, and so does
/// every Nibble device: this pass lets the readers of such constant chains read an f32 copy of the chain. A reader in f16
/// gets the result rounded once.
///
/// Where OpenVINO's CPU cannot keep the weight compressed, it folds the chain in f16 up to a Convert that is marked as
/// decompression, and so the f16 chain stays here. That is the case when anything but MatMul layers and tables of Gather reads
/// it (OPT exports with tied embeddings ask for the table's shape); Gather keeps tables of integers only, and those always.
void decompress_in_f32(Graph& graph);

}  // namespace nibble
