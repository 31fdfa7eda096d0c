#pragma once

#include <filesystem>

#include "tokenizer/tokenizer_source.hpp"

namespace nibble::tokenizer {

/// Reads an OpenVINO tokenizer IR: `xml`, the tokenizer, and the openvino_detokenizer.xml beside it. Special tokens and chat templates come
/// from tokenizer_config.json and special_tokens_map.json where these are there, else from the rt_info.
/// Throws Error{not_found} without a detokenizer, Error{unsupported} or Error{corrupt} naming the layer.
TokenizerSource read_tokenizer_ir(const std::filesystem::path& xml);

}  // namespace nibble::tokenizer
