#pragma once

#include <map>
#include <string>

#include "checkpoint/gguf/gguf_model.hpp"

namespace nibble {

/// The files that a Hugging Face directory has beside its weights, by name, as a GGUF model's metadata gives them: config.json,
/// generation_config.json, chat_template.jinja and, with `tokenizer` and where the file has one, tokenizer.json and tokenizer_config.json.
std::map<std::string, std::string> gguf_files(const GgufModel& model, bool tokenizer);

}  // namespace nibble
