#include "pipeline/model_loader.hpp"

#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "checkpoint/gguf/gguf_architecture.hpp"
#include "checkpoint/gguf/gguf_tokenizer.hpp"
#include "export/checkpoint_graph.hpp"
#include "ir/reader.hpp"
#include "tokenizer/tokenizer_source.hpp"

namespace nibble {

namespace fs = std::filesystem;

ModelFiles find_model(const fs::path& path) {
  if (!fs::exists(path)) fail(ErrorKind::not_found, "{}: there is no such file or directory", path.string());
  if (path.extension() == ".xml") return {ModelFormat::openvino_ir, path.has_parent_path() ? path.parent_path() : ".", path};
  for (const char* name : {"openvino_model.xml", "openvino_language_model.xml"})
    if (fs::exists(path / name)) return {ModelFormat::openvino_ir, path, path / name};
  if (auto gguf = find_gguf(path)) return {ModelFormat::gguf, *gguf, {}};
  if (fs::exists(path / "config.json")) return {ModelFormat::checkpoint, path, {}};
  fail(ErrorKind::not_found, "{}: no model here: neither openvino_model.xml nor a Hugging Face config.json nor a GGUF file", path.string());
}

bool has_tokenizer(const ModelFiles& files) {
  const auto found = tokenizer::look_for_tokenizer(files.directory);
  if (!found || found->kind != tokenizer::TokenizerFile::Kind::gguf) return found.has_value();
  return has_gguf_tokenizer(open_gguf_file(found->path).metadata);
}

nlohmann::json read_model_config(const ModelFiles& files) {
  if (files.format == ModelFormat::gguf) return gguf_config(GgufModel(files.directory));
  auto path = files.directory / "config.json";
  return fs::exists(path) ? read_json_object(path) : nlohmann::json::object();
}

Graph load_graph(const ModelFiles& files) {
  return files.format == ModelFormat::openvino_ir ? read_ir(files.xml) : build_checkpoint_graph(files.directory, FloatFormat::stored);
}

std::shared_ptr<const CompiledModel> load_model(const fs::path& path, const std::string& device, const Properties& properties,
                                                Context& context) {
  return find_device(device).compile(load_graph(find_model(path)), properties, context);
}

}  // namespace nibble
