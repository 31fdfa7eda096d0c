#include "checkpoint/gguf/gguf_files.hpp"

#include "checkpoint/gguf/gguf_architecture.hpp"
#include "checkpoint/gguf/gguf_tokenizer.hpp"

namespace nibble {

std::map<std::string, std::string> gguf_files(const GgufModel& model, bool tokenizer) {
  const GgufMetadata& metadata = model.metadata();
  std::map<std::string, std::string> files;
  auto add = [&](const char* name, const nlohmann::json& document) { files[name] = document.dump(2) + "\n"; };
  add("config.json", gguf_config(model));
  add("generation_config.json", gguf_generation_config(metadata));
  if (tokenizer && has_gguf_tokenizer(metadata)) {
    add("tokenizer.json", gguf_tokenizer_json(metadata));
    add("tokenizer_config.json", gguf_tokenizer_config(metadata));
  }
  auto templates = gguf_chat_templates(metadata);
  if (templates.size() == 1 && templates.contains("default")) files["chat_template.jinja"] = templates["default"];  // else in the config
  return files;
}

}  // namespace nibble
