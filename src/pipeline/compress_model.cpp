#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "base/output_directory.hpp"
#include "export/releasing_progress.hpp"
#include "export/weight_choice.hpp"
#include "ir/reader.hpp"
#include "ir/writer.hpp"
#include "nibble/compress.hpp"
#include "pipeline/calibration_data.hpp"
#include "pipeline/compression_details.hpp"
#include "pipeline/model_loader.hpp"
#include "pipeline/precision_search.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

/// What is read and where it goes.
struct Places {
  ModelFiles model;
  bool copies_files;    ///< a directory was given, not an .xml alone
  bool is_single_file;  ///< the output is an .xml, not a directory
};

Places find_places(const fs::path& model, const fs::path& output) {
  Places places{find_model(model), fs::is_directory(model), output.extension() == ".xml"};
  if (places.model.format != ModelFormat::openvino_ir)
    fail(ErrorKind::invalid_argument, "{}: no OpenVINO IR; \"nibble export\" makes one of a checkpoint, compressed if you like",
         model.string());
  if (places.copies_files && places.is_single_file)
    fail(ErrorKind::invalid_argument, "{}: a directory becomes a directory: give one, or the .xml file as input", output.string());
  return places;
}

WeightChoice choose(const WeightOptions& options, const ModelFiles& model) {
  const std::string format = options.weight_format.value_or("");
  if (format.empty() && !options.target.empty()) return {};  // a recipe looks at the graph first
  if (format.empty() || format == "fp16" || format == "fp32")
    fail(ErrorKind::invalid_argument, "say what the weights are to become: weight format int4, int8, nf4, mxfp4, ...");
  if (!options.model_id.empty()) return choose_weights(options, std::vector{options.model_id});
  nlohmann::json config = read_model_config(model);
  auto name = config.find("_name_or_path");
  return choose_weights(options,
                        std::vector{model.directory.string(), name != config.end() && name->is_string() ? name->get<std::string>() : ""});
}

/// The weights; nothing where the file is missing, which read_ir() judges.
std::shared_ptr<const MappedFile> map_bin(fs::path xml) {
  xml.replace_extension(".bin");
  return fs::exists(xml) ? MappedFile::open(xml) : nullptr;
}

/// OpenVINO takes other precisions by itself for compressed models: a float model's wish for its cache goes.
void drop_float_options(Graph& graph) {
  RtInfo& options = graph.rt_info().child("runtime_options");
  std::erase_if(options.children, [](const RtInfo& option) { return option.name == "KV_CACHE_PRECISION" && option.value == "f16"; });
  if (options.children.empty())
    std::erase_if(graph.rt_info().children, [](const RtInfo& child) { return child.name == "runtime_options"; });
}

bool is_model_file(const fs::path& file, const fs::path& xml) {
  return file.filename() == xml.filename() || file.filename() == fs::path(xml).replace_extension(".bin").filename();
}

/// Everything but the model. Linked files are copied, special files left out.
void copy_others(const ModelFiles& model, const fs::path& to, Context& context) {
  for (auto entry = fs::recursive_directory_iterator(model.directory); entry != fs::recursive_directory_iterator(); ++entry) {
    fs::path relative = entry->path().lexically_relative(model.directory);
    if (entry.depth() == 0 && is_model_file(entry->path(), model.xml)) continue;
    std::error_code code;
    if (entry->is_directory() && entry->is_symlink())
      context.log(LogLevel::warning, fmt::format("{} is a link to a directory: not copied", entry->path().string()));
    else if (entry->is_directory())
      fs::create_directories(to / relative, code);
    else if (entry->is_regular_file())
      fs::copy_file(entry->path(), to / relative, code);
    bool is_full = code == std::errc::no_space_on_device || code == std::errc::file_too_large;
    if (code)
      fail(is_full ? ErrorKind::exhausted : ErrorKind::invalid_argument, "{}: cannot be copied to {}: {}", entry->path().string(),
           to.string(), code.message());
  }
}

uint64_t bytes_of_others(const ModelFiles& model) {
  uint64_t total = 0;
  std::error_code code;
  for (const auto& entry : fs::recursive_directory_iterator(model.directory)) {
    if (!entry.is_regular_file(code) || is_model_file(entry.path(), model.xml)) continue;
    if (uint64_t size = entry.file_size(code); !code) total += size;
  }
  return total;
}

void write_directory(const Graph& graph, const fs::path& output, const ModelFiles& model, bool copies_files, Context& context,
                     Progress* progress) {
  OutputDirectory directory(output);
  WriteOptions how{.bytes_beside = copies_files ? bytes_of_others(model) : 0};
  write_ir(graph, directory.path() / model.xml.filename(), context, progress, how);
  if (copies_files) copy_others(model, directory.path(), context);
  if (progress && progress->cancelled()) fail(ErrorKind::cancelled, "the compression was cancelled");
  directory.commit();
}

void write_single(const Graph& graph, const fs::path& xml, Context& context, Progress* progress) {
  for (const fs::path& path : {xml, fs::path(xml).replace_extension(".bin")})
    if (fs::exists(path)) fail(ErrorKind::invalid_argument, "{} exists: choose another name, nothing is overwritten", path.string());
  write_ir(graph, xml, context, progress);
}

void check_output(const fs::path& output, const Places& places) {
  if (places.is_single_file ? fs::exists(output) : fs::exists(output) && !(fs::is_directory(output) && fs::is_empty(output)))
    fail(ErrorKind::invalid_argument, "{} exists: choose another name, nothing is overwritten", output.string());
}

CompressionTools tools_for(const fs::path& directory) { return {calibration_with(directory), precision_searcher(directory)}; }

std::string evaluation_text(const WeightOptions& options, const ModelFiles& model) {
  if (!has_tokenizer(model))
    fail(ErrorKind::not_found, "{}: there is no tokenizer, which the text to evaluate with needs", model.directory.string());
  return read_evaluation_text(options.eval_text);
}

}  // namespace

CompressReport compress_model(const fs::path& model, const fs::path& output, const WeightOptions& given, Context& context,
                              Progress* progress) {
  auto start = std::chrono::steady_clock::now();
  WeightOptions options = with_lowest_format(given);
  Places places = find_places(model, output);
  WeightChoice choice = choose(options, places.model);
  check_output(output, places);
  std::string text = options.eval_text.empty() ? "" : evaluation_text(options, places.model);
  auto bin = map_bin(places.model.xml);
  Graph graph = read_ir(places.model.xml, {.bin = bin});
  ReleasingProgress watched(
      bin ? releasing(bin) : [](PageCache) {}, progress);
  if (!options.target.empty()) choice = choose_by_recipe(options, graph);
  CompressionSummary summary = apply_choice(graph, choice, tools_for(places.model.directory), context, &watched);
  summary.layers.erase("float");
  if (summary.layers.empty() && !summary.search)
    fail(ErrorKind::invalid_argument, "{}: no float weights to compress", places.model.xml.string());
  drop_float_options(graph);
  CompressReport report;
  report.format = choice.description;
  report.notes = choice.notes;
  report.layers = summary.layers;
  report.search = std::move(summary.search);
  report.bits_per_weight = 8.0 * static_cast<double>(summary.bytes) / static_cast<double>(summary.elements);
  report.original_bytes = bin ? bin->size() : 0;
  report.weight_bytes = ir_bin_size(graph);
  if (places.is_single_file)
    write_single(graph, output, context, &watched);
  else
    write_directory(graph, output, places.model, places.copies_files, context, &watched);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  describe_result(output, report);
  EvaluationSource source{[&] { return read_ir(places.model.xml); }, places.model.directory};
  if (!options.eval_text.empty()) evaluate_result(output, source, text, report, context, progress);
  return report;
}

}  // namespace nibble
