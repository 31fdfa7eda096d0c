#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "device/device.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// Where a model's graph comes from.
enum class ModelFormat { openvino_ir, checkpoint, gguf };

struct ModelFiles {
  ModelFormat format;
  std::filesystem::path directory;  ///< of a GGUF model the file itself
  std::filesystem::path xml;        ///< IR only
};

/// Looks at `path`: an .xml file, a directory with openvino_model.xml (or openvino_language_model.xml), a GGUF file or a directory that
/// holds one, or a Hugging Face directory. Throws Error{not_found} that says what was looked for.
ModelFiles find_model(const std::filesystem::path& path);

/// Whether the directory or the GGUF file has a tokenizer.
bool has_tokenizer(const ModelFiles& files);

/// The model's config.json, made from the metadata of a GGUF file; an empty object where there is none.
nlohmann::json read_model_config(const ModelFiles& files);

/// Reads an IR, or builds the graph of a checkpoint without writing anything.
Graph load_graph(const ModelFiles& files);

/// Loads and compiles. An empty device name means the default one.
std::shared_ptr<const CompiledModel> load_model(const std::filesystem::path& path, const std::string& device, const Properties& properties,
                                                Context& context);

}  // namespace nibble
