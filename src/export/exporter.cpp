#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "base/disk.hpp"
#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "base/output_directory.hpp"
#include "base/output_file.hpp"
#include "checkpoint/gguf/gguf_files.hpp"
#include "export/checkpoint_graph.hpp"
#include "export/export_identity.hpp"
#include "export/exporter.hpp"
#include "export/families.hpp"
#include "export/releasing_progress.hpp"
#include "export/unused_weights.hpp"
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
constexpr std::array<std::string_view, 17> kCopiedFiles{"config.json",
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
                                                        "qwen.tiktoken",
                                                        "tiktoken.model",
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

uint64_t copied_bytes(const fs::path& from) {
  uint64_t total = 0;
  std::error_code code;
  for (std::string_view name : kCopiedFiles)
    if (uint64_t size = fs::file_size(from / name, code); !code) total += size;
  return total;
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

constexpr const char* kXml = "openvino_model.xml";
constexpr const char* kBin = "openvino_model.bin";

/// What the weights take at least; which of them get more than the main format is not known yet.
uint64_t least_bytes(const Graph& graph, const WeightChoice& choice, const ExportReport& report, const CheckpointSummary& summary) {
  if (choice.passes.empty()) return ir_bin_size(graph);
  if (has_codes(summary)) return 0;
  return report.parameters * static_cast<uint64_t>(weight_format(choice.passes.front().mode).bits) / 8;
}

void warn_of_unused(const CheckpointSummary& summary, Context& context) {
  constexpr size_t kMostNames = 10;
  if (summary.unused.empty()) return;
  context.log(LogLevel::warning, fmt::format("the model has no use for {} tensors of the checkpoint, which are left out: {}",
                                             summary.unused.size(), shown_names(summary.unused, kMostNames)));
}

std::string list_counts(const std::map<std::string, uint64_t>& counts) {
  constexpr size_t kMostNames = 10;
  std::vector<std::string> texts;
  for (const auto& [name, count] : counts) texts.push_back(fmt::format("{} ({})", name, count));
  return shown_names(texts, kMostNames);
}

/// What was seen of the values while they were written. Of other constants than weights some are infinite on purpose.
void warn_of_values(const CheckpointSummary& summary, const WriteResult& written, Context& context) {
  std::map<std::string, uint64_t> not_finite = summary.findings->not_finite(), clipped = summary.findings->clipped();
  for (const auto& [name, count] : written.not_finite)
    if (name.starts_with("self.")) not_finite[name] += count;
  if (!not_finite.empty())
    context.log(LogLevel::warning,
                fmt::format("weights hold values that are infinite or not a number: {}; the checkpoint is damaged or its training diverged",
                            list_counts(not_finite)));
  if (!clipped.empty())
    context.log(LogLevel::warning,
                fmt::format("values too large for fp16 became its largest, 65504: {}; bf16 (no weight format) or fp32 keeps them",
                            list_counts(clipped)));
}

/// An earlier run's weights, which may be right; the rest is made anew.
void remove_all_but_weights(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().filename() != kBin) fs::remove_all(entry.path());
}

/// Everything that an export consists of.
WriteResult fill(const fs::path& output, const fs::path& model, const Graph& graph, const WriteOptions& how, Context& context,
                 Progress& progress) {
  remove_all_but_weights(output);
  WriteResult written = write_ir(graph, output / kXml, context, &progress, how);
  copy_files(model, output);
  write_generation_config(model, output);
  if (progress.cancelled()) fail(ErrorKind::cancelled, "the export was cancelled");
  return written;
}

/// What was written stays for the next run where that can do better.
[[noreturn]] void give_up(OutputDirectory& directory, bool resumes, const Error& error) {
  bool is_cancelled = error.kind() == ErrorKind::cancelled;
  bool stays = resumes && (is_cancelled || error.kind() == ErrorKind::exhausted);
  if (stays) directory.keep();
  fail(error.kind(), "{}{}", error.what(),
       stays          ? fmt::format("; what is written stays in {}, and --resume goes on with it", directory.workshop().string())
       : is_cancelled ? "; nothing was left behind"
                      : "");
}

/// An export on its way: what is written, and what there is to say about it.
struct Export {
  const fs::path& model;
  const ExportOptions& options;
  Context& context;
  WeightChoice choice;
  CheckpointSummary summary;
  Graph graph;
  ExportReport report;

  bool is_compressed() const { return !choice.passes.empty(); }
  bool can_resume() const { return !choice.data; }
};

/// Recipes look at the graph. A large model of which nothing is asked becomes int8.
WeightChoice final_choice(const Export& e) {
  if (!e.options.target.empty()) return choose_by_recipe(e.options, e.graph);
  if (e.options.weight_format || is_quantized(e.summary) || e.report.parameters < kUncompressedLimit) return e.choice;
  e.context.log(LogLevel::info, fmt::format("{:.1f} billion parameters: weights become int8; ask for fp16 to keep them",
                                            static_cast<double>(e.report.parameters) / 1e9));
  WeightOptions int8;
  int8.weight_format = "int8";
  return choose_weights(int8, {});
}

/// The graph, with weights that are yet to be read, and what becomes of them.
Export open_checkpoint(const fs::path& model, const ExportOptions& options, Context& context) {
  Export e{model, options, context, {}, {}, {}, {}};
  ModelConfig config(model);
  if (options.target.empty()) e.choice = choose_weights(options, names_of(model, config, options));
  e.report.model_type = options.family.empty() ? config.model_type() : options.family;
  e.graph = build_checkpoint_graph(model, {e.choice.floats, options.family, options.adapters}, &e.summary);
  log_summary(e.summary, context);
  e.report.parameters = count_parameters(e.graph);
  e.choice = final_choice(e);
  warn_of_unused(e.summary, context);
  if (options.resume && !e.can_resume()) context.log(LogLevel::warning, "an export that looks at data cannot be resumed: it begins again");
  return e;
}

void compress(Export& e, const CompressionTools& tools, Progress& progress) {
  ExportReport& report = e.report;
  report.format = e.choice.description;
  report.notes = e.choice.notes;
  CompressionSummary done = apply_choice(e.graph, e.choice, tools, e.context, &progress);
  report.layers = std::move(done.layers);
  report.search = std::move(done.search);
  add_codes(e.summary, e.is_compressed(), report);
  write_runtime_info(e.graph, e.is_compressed() || has_codes(e.summary));
  report.weight_bytes = ir_bin_size(e.graph);
  report.bits_per_weight = 8.0 * static_cast<double>(report.weight_bytes) / static_cast<double>(std::max<uint64_t>(report.parameters, 1));
}

void write(Export& e, const OutputDirectory& directory, bool resumes, Progress& progress) {
  WriteOptions how{.bytes_beside = copied_bytes(e.model)};
  if (e.can_resume()) how.resumable = {directory.workshop() / "journal", export_identity(e.model, e.options), resumes};
  WriteResult written = fill(directory.path(), e.model, e.graph, how, e.context, progress);
  warn_of_values(e.summary, written, e.context);
  e.report.kept_bytes = written.kept_bytes;
}

}  // namespace

std::vector<std::string> supported_model_types() {
  std::vector<std::string> types;
  for (const Family& family : families()) types.emplace_back(family.model_type);
  return types;
}

ExportReport export_checkpoint(const fs::path& model, const fs::path& output, const ExportOptions& options, const CompressionTools& tools,
                               const FurtherFiles& more, Context& context, Progress* progress) {
  auto start = std::chrono::steady_clock::now();
  check_task(options.task);
  Export e = open_checkpoint(model, options, context);
  bool resumes = options.resume && e.can_resume();
  OutputDirectory directory(output, resumes ? OutputDirectory::Leftover::take_over : OutputDirectory::Leftover::remove);
  try {
    if (!resumes) require_free_space(directory.path(), least_bytes(e.graph, e.choice, e.report, e.summary) + copied_bytes(model));
    ReleasingProgress watched(releasing(e.summary.source), progress);
    compress(e, tools, watched);
    write(e, directory, resumes, watched);
    if (more)
      for (std::string& note : more(directory.path())) e.report.notes.push_back(std::move(note));
    directory.commit();
  } catch (const Error& error) {
    give_up(directory, resumes, error);
  }
  e.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::move(e.report);
}

}  // namespace nibble
