#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "base/output_file.hpp"
#include "checkpoint/gguf/gguf_files.hpp"
#include "export/checkpoint_graph.hpp"
#include "export/exporter.hpp"
#include "export/families.hpp"
#include "ir/writer.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kUncompressedLimit = 1'000'000'000;  // optimum's: larger models become int8 unless a format is asked for

bool is_weight_type(ElementType type) {
  return is_float(type) || type == ElementType::i4 || type == ElementType::u4 || type == ElementType::i8 || type == ElementType::u8;
}

/// Elements of weights and biases: constants but scalars, scales, and the column of frequencies of rotary embeddings.
uint64_t count_parameters(const Graph& graph) {
  uint64_t count = 0;
  for (Node* node : graph.of_type("Constant")) {
    const Shape& shape = node->constant().shape();
    if (is_weight_type(node->constant().type()) && !shape.empty() && shape.back() > 1) count += element_count(shape);
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
  std::optional<fs::path> gguf = find_gguf(from), directory = gguf ? gguf_directory(*gguf) : from;
  auto has = [&](const char* name) { return directory && fs::is_regular_file(*directory / name); };
  if (gguf)
    for (const auto& [name, text] : gguf_files(GgufModel(*gguf), !has("tokenizer.json") && !has("tokenizer.model")))
      write_file(to / name, text);
  if (!directory) return;
  for (std::string_view name : kCopiedFiles)
    if (!(gguf && name == "config.json") && fs::is_regular_file(*directory / name))
      write_file(to / name, read_file(*directory / name, kMaxCopiedBytes));
}

/// As transformers derives it where a checkpoint has none.
void write_generation_config(const fs::path& model, const fs::path& output) {
  if (fs::exists(output / "generation_config.json")) return;
  ModelConfig config(model);
  nlohmann::json fields{{"_from_model_config", true}};
  for (const char* id : {"bos_token_id", "eos_token_id", "pad_token_id"})
    if (config.has(id)) fields[id] = config.json()[id];
  write_file(output / "generation_config.json", fields.dump(2) + "\n");
}

/// What the model may be called: as told, else by its path and by its own words.
std::vector<std::string> names_of(const fs::path& model, const ModelConfig& config, const ExportOptions& options) {
  if (!options.model_id.empty()) return {options.model_id};
  return {model.string(), config.text("_name_or_path", "")};
}

bool is_quantized(const CheckpointSummary& summary) { return !summary.method.empty() && !summary.weights.empty(); }

/// Says what becomes of weights that the checkpoint holds in codes.
void log_summary(const CheckpointSummary& summary, Context& context) {
  for (const std::string& note : summary.notes) context.log(LogLevel::info, note);
  if (!is_quantized(summary)) return;
  std::string kept, decoded;
  for (const auto& [name, count] : summary.weights)
    if (name == "float")
      decoded = fmt::format("{} become floats", count);
    else
      kept += fmt::format("{}{} {}", kept.empty() ? "" : ", ", count, name);
  if (!kept.empty()) kept += decoded.empty() ? " keep their codes" : " keep their codes, ";
  context.log(LogLevel::info, fmt::format("the checkpoint is quantized ({}): of its weights {}{}", summary.method, kept, decoded));
}

bool has_codes(const CheckpointSummary& summary) {
  return std::any_of(summary.weights.begin(), summary.weights.end(), [](const auto& entry) { return entry.first != "float"; });
}

void add_codes(const CheckpointSummary& summary, bool is_compressed, ExportReport& report) {
  if (!is_quantized(summary)) return;
  for (const auto& [name, count] : summary.weights)
    if (name != "float" || !is_compressed) report.layers[name] += count;
  if (has_codes(summary)) report.format = fmt::format("{} codes of the checkpoint, the rest {}", summary.method, report.format);
}

}  // namespace

std::vector<std::string> supported_model_types() {
  std::vector<std::string> types;
  for (const Family& family : families()) types.emplace_back(family.model_type);
  return types;
}

ExportReport export_checkpoint(const fs::path& model, const fs::path& output, const ExportOptions& options,
                               const CalibrationFactory& calibration, Context& context, Progress* progress) {
  auto start = std::chrono::steady_clock::now();
  check_task(options.task);
  ModelConfig config(model);
  bool has_recipe = !options.target.empty();
  WeightChoice choice = has_recipe ? WeightChoice{} : choose_weights(options, names_of(model, config, options));
  ExportReport report;
  report.model_type = options.family.empty() ? config.model_type() : options.family;
  CheckpointSummary summary;
  Graph graph = build_checkpoint_graph(model, {choice.floats, options.family, options.adapters}, &summary);
  log_summary(summary, context);
  report.parameters = count_parameters(graph);
  if (has_recipe) choice = choose_by_recipe(options, graph);
  if (!has_recipe && !options.weight_format && !is_quantized(summary) && report.parameters >= kUncompressedLimit) {
    context.log(LogLevel::info, fmt::format("{:.1f} billion parameters: weights become int8; ask for fp16 to keep them",
                                            static_cast<double>(report.parameters) / 1e9));
    WeightOptions int8;
    int8.weight_format = "int8";
    choice = choose_weights(int8, {});
  }
  OutputDirectory directory(output);
  report.format = choice.description;
  report.notes = choice.notes;
  report.layers = apply_choice(graph, choice, calibration, context, progress).layers;
  add_codes(summary, !choice.passes.empty(), report);
  write_runtime_info(graph, !choice.passes.empty() || has_codes(summary));
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
