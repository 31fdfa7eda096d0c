#pragma once

#include "checkpoint/gguf/gguf_architecture.hpp"
#include "export/decoder.hpp"

namespace nibble {

/// Tells a decoder, as a family configured it, where its weights lie in a GGUF file: names, rows of fused layers, pairs of rotated
/// dimensions, stacked experts. What llama.cpp's conversion changes of a checkpoint is undone here (Gemma's norms have their 1 already).
void use_gguf_layout(DecoderConfig& decoder, const GgufArchitecture& architecture, const WeightSource& tensors);

}  // namespace nibble
