#pragma once

#include <filesystem>

#include "export/model_weights.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// The graph of a Hugging Face directory; its weights stay lazy views of the checkpoint. Throws Error{unsupported} for
/// families and quantized formats that Nibble does not read.
Graph build_checkpoint_graph(const std::filesystem::path& directory, FloatFormat format);

}  // namespace nibble
