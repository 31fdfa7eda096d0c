#include "checkpoint/prequantized/prequantized.hpp"

#include <array>

#include "base/fail.hpp"
#include "checkpoint/prequantized/formats.hpp"
#include "checkpoint/prequantized/prequantized_weights.hpp"

namespace nibble {

namespace {

struct Method {
  std::string_view name;
  void (*read)(LayerReader&);
};

constexpr std::array kMethods{Method{"gptq", read_gptq},
                              Method{"awq", read_awq},
                              Method{"compressed-tensors", read_compressed_tensors},
                              Method{"fp8", read_fp8},
                              Method{"fbgemm_fp8", read_fp8},
                              Method{"mxfp4", read_mxfp4},
                              Method{"bitsandbytes", read_bitsandbytes}};

/// Intel's auto-round writes the layouts of others.
std::string layout_of(const QuantizationConfig& config) {
  std::string method = config.method();
  if (method != "auto-round") return method;
  std::string packing = config.text("packing_format", "");
  if (packing == "auto_round:auto_gptq") return "gptq";
  if (packing == "auto_round:auto_awq") return "awq";
  fail(ErrorKind::unsupported,
       "{}: auto-round weights in the format \"{}\" are not supported; export them as auto_gptq or auto_awq, or use the checkpoint they "
       "were "
       "made from",
       config.where(), packing);
}

const Method& find_method(const QuantizationConfig& config) {
  std::string layout = layout_of(config), known;
  for (const Method& method : kMethods) {
    if (method.name == layout) return method;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", method.name);
  }
  fail(ErrorKind::unsupported, "{}: weights quantized by \"{}\" are not supported (supported: {}); use the checkpoint they were made from",
       config.where(), layout, known);
}

void refuse_unexplained_layers(const std::filesystem::path& directory, const WeightSource& stored) {
  for (const std::string& name : stored.names())
    if (name.ends_with(".qweight"))
      fail(ErrorKind::corrupt,
           "{}: there are quantized weights ({}), and nothing says how: \"quantization_config\" is missing in config.json",
           directory.string(), name);
}

}  // namespace

void refuse_unknown_quantization(const std::filesystem::path& directory) {
  if (auto config = read_quantization_config(directory)) find_method(*config);
}

QuantizedCheckpoint open_quantized_layers(const std::filesystem::path& directory, std::shared_ptr<const WeightSource> stored) {
  auto config = read_quantization_config(directory);
  if (!config) {
    refuse_unexplained_layers(directory, *stored);
    return {std::move(stored), "", {}};
  }
  const Method& method = find_method(*config);
  LayerReader reader(*stored, *config);
  method.read(reader);
  auto layers = reader.take_layers();
  if (layers.empty()) {
    if (config->is_promise() && method.name != "compressed-tensors")
      fail(ErrorKind::corrupt, "{}: says that weights are quantized by \"{}\", and none is", config->where(), config->method());
    return {std::move(stored), "", {}};
  }
  auto weights = std::make_shared<PrequantizedWeights>(std::move(stored), std::move(layers));
  return {std::move(weights), config->method(), reader.take_notes()};
}

}  // namespace nibble
