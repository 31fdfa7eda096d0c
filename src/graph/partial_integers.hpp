#pragma once

#include <optional>
#include <span>
#include <vector>

#include "graph/node.hpp"

namespace nibble {

/// An element of an integer tensor as far as it is known before running.
struct PartialInteger {
  enum class State {
    known,
    dimension,  ///< computed from a dynamic dimension
    unknown,    ///< anything, e.g. from a Parameter
  };
  State state = State::unknown;
  int64_t value = 0;  ///< only if known

  bool is_known() const { return state == State::known; }
  bool operator==(const PartialInteger&) const = default;
};

using PartialIntegers = std::vector<PartialInteger>;

/// The elements of a small (up to 64 elements) integer tensor, whose shape must be inferred already; nullopt when not even
/// their number is known. Tells -1 as a value from a dynamic dimension, which known_integers() cannot. Time is bounded: the walk
/// towards the inputs ends after a fixed number of nodes, and what lies beyond is unknown.
std::optional<PartialIntegers> partial_integers(Value value);

/// All known.
PartialIntegers to_partial(std::span<const int64_t> values);

}  // namespace nibble
