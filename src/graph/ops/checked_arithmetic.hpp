#pragma once

#include <cstdint>
#include <optional>

#include "graph/node.hpp"

namespace nibble {

/// Arithmetic that has no result where 64 bits do not hold it or it is not defined. Pure and thread-safe.
using CheckedBinary = std::optional<int64_t> (*)(int64_t, int64_t);

std::optional<int64_t> checked_multiply(int64_t a, int64_t b);

/// What an elementwise operation of two integer tensors computes per element; nullptr for any other operation.
CheckedBinary checked_binary(const Node& node);

}  // namespace nibble
