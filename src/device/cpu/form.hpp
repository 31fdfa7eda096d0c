#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/thread_pool.hpp"
#include "device/cpu/plan.hpp"
#include "graph/graph.hpp"

namespace nibble::cpu {

/// One number of a token: factor * slot[column] * multiplier[multiplier_column]; the multiplier is a positional slot or not there.
struct Element {
  int32_t slot = -1, column = 0;  ///< slot -1: zero
  int32_t multiplier = -1, multiplier_column = 0;
  float factor = 1;
  bool operator==(const Element&) const = default;
};

/// What a value of the graph is for one token, as the graph computes it for a batch of one sequence of one token: every element is a sum of
/// terms. Slices, transpositions, repeated heads and rotary embeddings are forms: they are computed when a kernel needs them, in one go, or
/// never.
struct Form {
  Shape shape;
  std::vector<std::vector<Element>> terms;  ///< each with as many elements as the shape; at least one

  size_t size() const { return terms.front().size(); }
  bool has_multiplier() const;
};

/// A form that is the columns of a view, in order.
Form identity_form(View view, Shape shape);
/// The view that a form is, if it is one.
std::optional<View> as_view(const Form& form);

/// Runs an operation that only moves elements (Reshape, Transpose, Slice, Concat, Gather with constant indices, Broadcast, ...) on forms.
/// Inputs are either forms or tensors.
struct MoveInput {
  const Form* form = nullptr;
  Tensor tensor;
};
bool is_movement(const Node& node);
std::vector<Form> move(const Node& node, std::span<const MoveInput> inputs, ThreadPool& threads);

/// form * values, broadcast; `values` are factors.
Form scaled(const Form& form, const Tensor& values);
/// form * positional, broadcast; nullopt where the form has multipliers already.
std::optional<Form> multiplied(const Form& form, const Form& positional);
/// a + b, broadcast.
Form sum(const Form& a, const Form& b);
Form negated(Form form);
/// The element index of `from` that each element of `to` reads when broadcast to it.
std::vector<size_t> broadcast_indices(const Shape& from, const Shape& to);
Shape broadcast_shape(const Shape& a, const Shape& b);

}  // namespace nibble::cpu
