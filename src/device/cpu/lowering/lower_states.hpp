#pragma once

#include <unordered_set>
#include <utility>
#include <vector>

#include "device/cpu/conv_step.hpp"
#include "device/cpu/lowering/plan_builder.hpp"

namespace nibble::cpu {

/// The states of a graph: keys and values, whose past the cache keeps, and the last inputs of short convolutions.
class StateLowering {
 public:
  explicit StateLowering(PlanBuilder& builder) : builder_(builder) {}

  /// ReadValue: the past, which is empty before the first token.
  void lower_read(Node& node);
  /// Concat(past, new) along the tokens, which is also what is assigned to the state. False: the node is not that.
  bool lower_append(Node& node);
  /// A convolution over the last tokens, which has a state of its own.
  void lower(Node& node, const ConvMatch& conv);

  /// The state that keys or values are, as `heads` heads of queries read it: query head h must read head h / group. Gives its new columns
  /// and its shape [1, heads, 1, dimensions].
  std::pair<View, Shape> find_cached(const Form& form, size_t heads) const;
  /// How many states keep keys or values.
  size_t cached_count() const { return cached_.size(); }
  bool is_convolved(const Node& read) const { return convolved_.count(&read) > 0; }

 private:
  struct Cached {
    View view;
    Shape shape;
  };
  static bool reads(const Form& form, const Cached& state, size_t heads);

  PlanBuilder& builder_;
  std::vector<Cached> cached_;
  std::unordered_set<const Node*> convolved_;
};

}  // namespace nibble::cpu
