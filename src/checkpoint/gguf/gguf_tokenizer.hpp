#pragma once

#include <nlohmann/json.hpp>

#include "checkpoint/gguf/gguf_metadata.hpp"

namespace nibble {

/// Whether the metadata holds a tokenizer (a vocabulary may be left out).
bool has_gguf_tokenizer(const GgufMetadata& metadata);

/// The tokenizer as a tokenizer.json: SentencePiece's BPE (tokenizer.ggml.model "llama") with merges from the scores, or byte-level BPE
/// ("gpt2"). Throws Error{unsupported} for other models and pre-tokenizers, Error{corrupt} where the lists contradict each other.
nlohmann::json gguf_tokenizer_json(const GgufMetadata& metadata);

/// tokenizer_config.json: special tokens, and the chat templates where there are several.
nlohmann::json gguf_tokenizer_config(const GgufMetadata& metadata);

/// generation_config.json: ids of the special tokens, with all that end an answer.
nlohmann::json gguf_generation_config(const GgufMetadata& metadata);

/// The chat templates by name; the one without is called "default".
std::map<std::string, std::string> gguf_chat_templates(const GgufMetadata& metadata);

}  // namespace nibble
