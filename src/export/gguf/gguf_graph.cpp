#include "export/gguf/gguf_graph.hpp"

#include "export/families.hpp"
#include "export/gguf/gguf_layout.hpp"
#include "export/gguf/gguf_tensors.hpp"

namespace nibble {

Graph build_gguf_graph(const std::filesystem::path& path, FloatFormat format, TakenWeights* taken) {
  GgufModel model(path);
  ModelConfig config(gguf_config(model), path.string());
  DecoderConfig decoder = find_family(config).configure(config);
  auto tensors = std::make_shared<GgufTensors>(open_gguf(path));
  use_gguf_layout(decoder, find_gguf_architecture(model), *tensors);
  Graph graph;
  TakenWeights built = build_decoder(graph, decoder, tensors, format);
  tensors->refuse_unused();
  if (taken) *taken = std::move(built);
  return graph;
}

}  // namespace nibble
