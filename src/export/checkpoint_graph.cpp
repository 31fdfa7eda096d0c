#include "export/checkpoint_graph.hpp"

#include "base/fail.hpp"
#include "checkpoint/adapter/adapted_weights.hpp"
#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/prequantized/prequantized.hpp"
#include "export/config_keys.hpp"
#include "export/families.hpp"
#include "export/gguf/gguf_graph.hpp"
#include "export/unused_weights.hpp"

namespace nibble {

Graph build_checkpoint_graph(const std::filesystem::path& directory, const CheckpointOptions& options, CheckpointSummary* summary) {
  if (auto gguf = find_gguf(directory)) {
    if (!options.adapters.empty())
      fail(ErrorKind::unsupported, "{}: adapters are merged into Hugging Face checkpoints only, and this is a GGUF file", gguf->string());
    TakenWeights taken;
    Graph graph = build_gguf_graph(*gguf, options.format, &taken);
    if (summary) *summary = {"gguf", std::move(taken.counts), {}, {}, std::move(taken.source), std::move(taken.findings)};
    return graph;
  }
  ModelConfig config(directory);
  const Family& family = options.family.empty() ? find_family(config) : find_family(options.family, config.where());
  DecoderConfig decoder = family.configure(config);
  if (options.family.empty()) check_understood(config, family.model_type);
  refuse_unknown_quantization(directory);
  QuantizedCheckpoint checkpoint = open_quantized_layers(directory, open_checkpoint(directory));
  for (const auto& adapter : options.adapters) checkpoint.weights = merge_adapter(std::move(checkpoint.weights), adapter);
  Graph graph;
  TakenWeights taken = build_decoder(graph, decoder, checkpoint.weights, options.format);
  if (!summary) return graph;
  *summary = {std::move(checkpoint.method),
              std::move(taken.counts),
              std::move(checkpoint.notes),
              unused_weights(*taken.source, taken.used, decoder.tied_embeddings),
              taken.source,
              std::move(taken.findings)};
  return graph;
}

Graph build_checkpoint_graph(const std::filesystem::path& directory, FloatFormat format) {
  return build_checkpoint_graph(directory, CheckpointOptions{.format = format});
}

}  // namespace nibble
