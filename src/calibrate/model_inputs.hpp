#pragma once

#include <cstdint>
#include <span>

#include "graph/graph.hpp"

namespace nibble {

/// Whether a Parameter takes the tokens of a sample: input_ids.
bool is_token_input(const Node& parameter);

/// What a Parameter of a language model gets for a sample of one sequence without a past: input_ids the tokens, attention_mask ones,
/// position_ids 0, 1, ..., beam_idx and token_type_ids 0, past_key_values.* nothing (no tokens). Throws Error{unsupported} naming any other
/// input.
Tensor model_input(const Node& parameter, std::span<const int64_t> tokens);

}  // namespace nibble
