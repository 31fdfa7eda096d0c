#include "pipeline/model_loader.hpp"

#include "base/fail.hpp"
#include "export/checkpoint_graph.hpp"
#include "ir/reader.hpp"

namespace nibble {

namespace fs = std::filesystem;

ModelFiles find_model(const fs::path& path) {
  if (!fs::exists(path)) fail(ErrorKind::not_found, "{}: there is no such file or directory", path.string());
  if (path.extension() == ".xml") return {ModelFormat::openvino_ir, path.has_parent_path() ? path.parent_path() : ".", path};
  for (const char* name : {"openvino_model.xml", "openvino_language_model.xml"})
    if (fs::exists(path / name)) return {ModelFormat::openvino_ir, path, path / name};
  if (fs::exists(path / "config.json")) return {ModelFormat::checkpoint, path, {}};
  fail(ErrorKind::not_found, "{}: no model here: neither openvino_model.xml nor a Hugging Face config.json", path.string());
}

Graph load_graph(const ModelFiles& files) {
  return files.format == ModelFormat::openvino_ir ? read_ir(files.xml) : build_checkpoint_graph(files.directory, FloatFormat::stored);
}

std::shared_ptr<const CompiledModel> load_model(const fs::path& path, const std::string& device, const Properties& properties,
                                                Context& context) {
  return find_device(device).compile(load_graph(find_model(path)), properties, context);
}

}  // namespace nibble
