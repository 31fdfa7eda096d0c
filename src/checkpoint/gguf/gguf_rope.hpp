#pragma once

#include <nlohmann/json.hpp>

#include "checkpoint/gguf/gguf_hyperparameters.hpp"

namespace nibble {

/// Writes rope_theta, rope_scaling and partial_rotary_factor of a Hugging Face config.json from the keys rope.* and from the tensors with
/// factors of the frequencies. `head_dim`: what rotates where no key says otherwise.
void write_gguf_rope(GgufHyperparameters& parameters, int64_t head_dim, nlohmann::json& config);

}  // namespace nibble
