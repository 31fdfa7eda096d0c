#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/weight_source.hpp"

namespace nibble {

/// The tensors of a checkpoint that are not among `used`, sorted; without those that no model needs: buffers that PyTorch saves with a
/// model (rotary frequencies, causal masks, positions), and the head of a model whose head is its embedding.
std::vector<std::string> unused_weights(const WeightSource& source, const std::set<std::string, std::less<>>& used, bool has_tied_head);

/// "a, b, c and 7 more": names from files, fit to be shown, `most` of them.
std::string shown_names(const std::vector<std::string>& names, size_t most);

}  // namespace nibble
