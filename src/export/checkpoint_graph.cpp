#include "export/checkpoint_graph.hpp"

#include "base/fail.hpp"
#include "export/families.hpp"

namespace nibble {

Graph build_checkpoint_graph(const std::filesystem::path& directory, FloatFormat format) {
  ModelConfig config(directory);
  const Family& family = find_family(config);
  if (config.has("quantization_config")) {
    std::string method = config.object("quantization_config").text("quant_method", "unknown");
    fail(ErrorKind::unsupported, "{}: the checkpoint is quantized already ({}); use the float checkpoint it was made from", config.where(),
         method);
  }
  DecoderConfig decoder = family.configure(config);
  std::shared_ptr<const WeightSource> weights = open_checkpoint(directory);
  Graph graph;
  build_decoder(graph, decoder, weights, format);
  return graph;
}

}  // namespace nibble
