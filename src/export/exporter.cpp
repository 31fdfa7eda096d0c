#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "base/output_file.hpp"
#include "compress/weight_compression.hpp"
#include "export/checkpoint_graph.hpp"
#include "export/families.hpp"
#include "ir/writer.hpp"
#include "nibble/export.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kUncompressedLimit = 1'000'000'000;  // optimum's: larger models become int8 unless a format is asked for

struct Format {
  FloatFormat floats = FloatFormat::stored;
  std::optional<WeightCompression> compression;
  std::string description = "as in the checkpoint";
};

bool has_compression_options(const ExportOptions& o) {
  return o.sym || o.group_size || o.ratio || o.all_layers || !o.backup_precision.empty() || !o.sensitivity_metric.empty();
}

template <class T>
T parsed(std::optional<T> value, std::string_view option, const std::string& text, std::string_view allowed) {
  if (!value) fail(ErrorKind::invalid_argument, "{} \"{}\" is not known (known: {})", option, text, allowed);
  return *value;
}

CompressWeightsMode mode_of(const std::string& format, bool sym) {
  if (format == "int8") return sym ? CompressWeightsMode::int8_sym : CompressWeightsMode::int8_asym;
  if (format == "int4") return sym ? CompressWeightsMode::int4_sym : CompressWeightsMode::int4_asym;
  auto mode = parse_compress_weights_mode(format == "mxfp8" || format == "fp8" ? format + "_e4m3" : format);
  return parsed(mode, "weight format", format, "fp32, fp16, int8, int4, nf4, mxfp4, mxfp8, fp8, fp4, nvfp4, cb4");
}

WeightCompression compression_of(const ExportOptions& o, const std::string& format) {
  WeightCompression c;
  c.mode = mode_of(format, o.sym);
  if (is_int8(c.mode) && (o.group_size.value_or(-1) != -1 || o.ratio.value_or(1.0) != 1.0 || o.all_layers || !o.backup_precision.empty()))
    fail(ErrorKind::invalid_argument,
         "weight format int8 is per channel for all layers: it takes no group size, ratio, all-layers or backup precision");
  if (o.group_size && !is_int8(c.mode)) c.group_size = *o.group_size;
  if (!is_int8(c.mode)) c.ratio = o.ratio.value_or(1.0);
  if (o.all_layers) c.all_layers = true;
  c.group_size_fallback =
      parsed(parse_group_size_fallback_mode(o.group_size_fallback), "group size fallback", o.group_size_fallback, "error, ignore, adjust");
  if (!o.backup_precision.empty())
    c.backup = parsed(parse_backup_mode(o.backup_precision), "backup precision", o.backup_precision, "none, int8_sym, int8_asym");
  if (!o.sensitivity_metric.empty())
    c.sensitivity_metric =
        parsed(parse_sensitivity_metric(o.sensitivity_metric), "sensitivity metric", o.sensitivity_metric, "weight_quantization_error");
  return c;
}

Format choose_format(const ExportOptions& o) {
  Format format;
  if (!o.weight_format) {
    if (has_compression_options(o))
      fail(ErrorKind::invalid_argument, "compression options need a weight format: add --weight-format int4 or int8");
    return format;
  }
  const std::string& name = *o.weight_format;
  if (name == "fp32" || name == "fp16") {
    if (has_compression_options(o)) fail(ErrorKind::invalid_argument, "weight format {} takes no compression options", name);
    format.floats = name == "fp32" ? FloatFormat::f32 : FloatFormat::f16;
    format.description = name;
    return format;
  }
  format.compression = compression_of(o, name);
  return format;
}

/// Elements of weights and biases: float constants but scalars and the column of frequencies of rotary embeddings.
uint64_t count_parameters(const Graph& graph) {
  uint64_t count = 0;
  for (Node* node : graph.of_type("Constant")) {
    const Shape& shape = node->constant().shape();
    if (is_float(node->constant().type()) && !shape.empty() && shape.back() > 1) count += element_count(shape);
  }
  return count;
}

void check_task(const std::string& task) {
  if (task != "auto" && task != "text-generation" && task != "text-generation-with-past")
    fail(ErrorKind::unsupported, "task \"{}\" is not supported (supported: auto, text-generation-with-past)", task);
}

/// The options that OpenVINO applies when it compiles the model.
void write_runtime_info(Graph& graph, bool compressed) {
  graph.rt_info().child("nibble").set("version", NIBBLE_VERSION);
  RtInfo& options = graph.rt_info().child("runtime_options");
  options.set("ACTIVATIONS_SCALE_FACTOR", "8.0");
  if (!compressed) options.set("KV_CACHE_PRECISION", "f16");
}

/// What a model directory holds beside its weights and what a run needs.
constexpr std::array<std::string_view, 15> kCopiedFiles{"config.json",
                                                        "generation_config.json",
                                                        "tokenizer.json",
                                                        "tokenizer.model",
                                                        "tokenizer_config.json",
                                                        "special_tokens_map.json",
                                                        "added_tokens.json",
                                                        "vocab.json",
                                                        "merges.txt",
                                                        "vocab.txt",
                                                        "chat_template.jinja",
                                                        "chat_template.json",
                                                        "spiece.model",
                                                        "sentencepiece.bpe.model",
                                                        "preprocessor_config.json"};

constexpr size_t kMaxCopiedBytes = size_t{256} << 20;

void copy_files(const fs::path& from, const fs::path& to) {
  for (std::string_view name : kCopiedFiles)
    if (fs::is_regular_file(from / name)) write_file(to / name, read_file(from / name, kMaxCopiedBytes));
}

/// As transformers derives it where a checkpoint has none.
void write_generation_config(const fs::path& model, const fs::path& output) {
  if (fs::exists(model / "generation_config.json")) return;
  ModelConfig config(model);
  nlohmann::json fields{{"_from_model_config", true}};
  for (const char* id : {"bos_token_id", "eos_token_id", "pad_token_id"})
    if (config.has(id)) fields[id] = config.json()[id];
  write_file(output / "generation_config.json", fields.dump(2) + "\n");
}

std::string describe_compression(const WeightCompression& options) {
  CompressionPlan plan = plan_compression(options);
  std::string text(to_string(plan.mode));
  if (plan.group_size > 0) text += fmt::format(", group size {}", plan.group_size);
  if (plan.ratio < 1) text += fmt::format(", ratio {}", plan.ratio);
  return text;
}

/// Weights of the checkpoint only: the rotary frequencies are a candidate of the compression too.
std::map<std::string, uint64_t> layers_by_precision(const CompressionReport& report) {
  std::map<std::string, uint64_t> layers;
  for (const auto& weight : report.weights) {
    if (weight.config)
      ++layers[std::string(to_string(weight.config->mode))];
    else if (weight.name.starts_with("self."))
      ++layers["float"];
  }
  return layers;
}

}  // namespace

std::vector<std::string> supported_model_types() {
  std::vector<std::string> types;
  for (const Family& family : families()) types.emplace_back(family.model_type);
  return types;
}

ExportReport export_model(const fs::path& model, const fs::path& output, const ExportOptions& options, Context& context,
                          Progress* progress) {
  auto start = std::chrono::steady_clock::now();
  check_task(options.task);
  Format format = choose_format(options);
  ExportReport report;
  report.model_type = ModelConfig(model).model_type();
  Graph graph = build_checkpoint_graph(model, format.floats);
  report.parameters = count_parameters(graph);
  if (!options.weight_format && report.parameters >= kUncompressedLimit) {
    context.log(LogLevel::info, fmt::format("{:.1f} billion parameters: weights become int8; ask for fp16 to keep them",
                                            static_cast<double>(report.parameters) / 1e9));
    format.compression = compression_of(options, "int8");
  }
  OutputDirectory directory(output);
  report.format = format.description;
  if (format.compression) {
    CompressionReport compressed = compress_weights(graph, *format.compression, context, progress);
    report.layers = layers_by_precision(compressed);
    report.format = describe_compression(*format.compression);
  }
  write_runtime_info(graph, format.compression.has_value());
  report.weight_bytes = ir_bin_size(graph);
  report.bits_per_weight = 8.0 * static_cast<double>(report.weight_bytes) / static_cast<double>(std::max<uint64_t>(report.parameters, 1));
  write_ir(graph, directory.path() / "openvino_model.xml", context, progress);
  copy_files(model, directory.path());
  write_generation_config(model, directory.path());
  if (progress && progress->cancelled()) fail(ErrorKind::cancelled, "the export was cancelled");
  directory.commit();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace nibble
