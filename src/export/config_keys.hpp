#pragma once

#include <span>
#include <string_view>

#include "export/model_config.hpp"

namespace nibble {

/// Throws Error{unsupported} where `config` has keys that the family's code has not asked for and that may change what the model
/// computes. Keys for training, generation and tools, and values that switch nothing on (null, false, 0, empty), do not count.
void check_understood(const ModelConfig& config, std::string_view family);

/// Of `known` the name that is most like `name`, by the number of characters to change.
std::string_view most_similar(std::string_view name, std::span<const std::string_view> known);

}  // namespace nibble
