#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/thread_pool.hpp"
#include "graph/graph.hpp"

namespace nibble::cpu {

/// Which dimension of a value counts tokens, known from its shapes for one and for two tokens.
struct TokenAxis {
  Shape one, two;   ///< shapes for one token and for two
  size_t axis = 0;  ///< where two is twice one: the elements of a token lie together along it

  /// Where in the shape of two tokens the elements of token `token` lie, in the order of the shape of one.
  std::vector<size_t> elements(size_t token) const;
  /// Counted from the last dimension, as broadcasting does: 0 is the last.
  size_t from_back() const { return one.size() - 1 - axis; }
};

/// The token axis of every value of a graph that has exactly one. Plans run token by token, so every operation must keep tokens apart.
class TokenAxes {
 public:
  /// Takes the shapes of the graph's values as they are inferred now for one token.
  void note_one(const Graph& graph);
  void note_two(const Graph& graph);
  /// nullopt: the value has none, or more than its tokens grow with their number.
  std::optional<TokenAxis> find(Value value) const;
  /// For values whose shapes the graph does not tell.
  void set(Value value, TokenAxis axis);

 private:
  using Key = std::pair<const Node*, size_t>;
  std::map<Key, Shape> one_, two_;
  std::map<Key, TokenAxis> known_;
};

/// An input of an operation: tokens along an axis, or a tensor for one and for two tokens.
struct SeparableInput {
  std::optional<TokenAxis> axis;
  ElementType type = ElementType::f32;
  Tensor one, two;
};

/// Runs an operation on random values for two tokens at once and for each alone; true if the results are the same, each token's from its
/// own.
bool keeps_tokens_apart(const Node& node, std::span<const SeparableInput> inputs, ThreadPool& threads);

}  // namespace nibble::cpu
