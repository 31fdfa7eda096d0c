#pragma once

#include <filesystem>

#include "export/model_weights.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// The graph of a GGUF file; its weights stay lazy views of it. Throws Error{unsupported} for architectures, metadata and tensors that
/// are not understood. `taken`: what was made of the file.
Graph build_gguf_graph(const std::filesystem::path& path, FloatFormat format, TakenWeights* taken = nullptr);

}  // namespace nibble
