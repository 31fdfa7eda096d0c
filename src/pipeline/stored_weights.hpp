#pragma once

#include <vector>

#include "graph/node.hpp"
#include "nibble/inspect.hpp"

namespace nibble {

/// How many of a layer's first inputs may be weights: of an embedding the table, of a product both; none of other layers.
size_t weight_ports(const Node& node);

/// The constants that a weight is made of: codes, scales, zero points. Empty where something else flows in.
std::vector<const Node*> weight_constants(const Node* source);

/// False for scalars and for the column of frequencies that rotary embeddings have.
bool holds_weights(const Node& constant);

/// The one with most elements: a weight's values or codes.
const Node* largest(const std::vector<const Node*>& constants);

/// How the weight behind `source` is stored: its constants are codes, scales, zero points, a codebook and small things.
WeightFormatInfo weight_format_of(const Node& source, const std::vector<const Node*>& constants);

}  // namespace nibble
