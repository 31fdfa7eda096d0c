#include "graph/op_set.hpp"

namespace nibble {

std::optional<std::vector<int64_t>> known_integers(Value) { return std::nullopt; }

}  // namespace nibble
