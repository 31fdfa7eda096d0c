#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "device/cpu/constant_values.hpp"
#include "device/cpu/form.hpp"
#include "device/cpu/lowering.hpp"

namespace nibble::cpu {

/// What a value of the graph is for one token.
struct Meaning {
  Tensor known;              ///< the same for every token
  std::optional<Form> form;  ///< hidden or positional
  std::string state;         ///< variable whose past this is (and which is empty here)

  const Shape& shape() const { return form ? form->shape : known.shape(); }
};

/// A plan in the making: its slots and steps, and what the values of the graph are in it. What lower_*.hpp declares writes to it; all
/// throw Error{unsupported} for what a plan cannot do. Not thread-safe.
class PlanBuilder {
 public:
  PlanBuilder(LoweredModel& model, ThreadPool& threads) : model_(model), threads_(threads), constants_(model.graph, threads) {}

  // What values are. References stay valid until the value is defined anew.

  /// Of a value that is defined, constant or positional.
  const Meaning& meaning(Value value);
  /// The same for what an operation computes with, which may not depend on the number of tokens.
  const Meaning& operand(Value value);
  /// Of a value that is not the same for every token.
  const Form& form(Value value);
  bool is_defined(const Node& node) const { return meanings_.count(&node) > 0; }
  bool is_hidden(const Node& node) const { return model_.dependence->is_hidden(node); }
  bool is_positional(Value value) const { return model_.dependence->is_positional(*value.node); }
  /// What a positional value is for a window of tokens.
  Tensor evaluate(Value value, TokenWindow window) const { return model_.positional->evaluate({value}, window)[0]; }

  void define(Value value, Form form) { outputs(*value.node)[value.index].form = std::move(form); }
  void define(Value value, View view) { define(value, identity_form(view, value.shape().dims())); }
  /// The value is the past of this variable.
  void define_state(Value value, std::string variable) { outputs(*value.node)[value.index].state = std::move(variable); }

  // Columns and steps.

  View new_slot(Slot::Kind kind, size_t width);
  View new_slot(size_t width) { return new_slot(Slot::Kind::activation, width); }
  /// A slot that the value is the columns of.
  View new_result(Value value, Shape shape);
  /// The columns of a value, computed now if they are not a view.
  View view(Value value) { return view(*value.node, form(value), value); }
  /// Those of a form, for a step that computes `node`; `whole`: the value that is this form.
  View view(const Node& node, const Form& form, std::optional<Value> whole = {});

  /// Appends a step that computes `node`.
  template <class T>
  T& emit(const Node& node, std::unique_ptr<T> step) {
    step->name = node.name();
    T& reference = *step;
    plan().steps.push_back(std::move(step));
    return reference;
  }

  /// Asks for weights that become one packed matrix; returns which request it is. `exact`: they are not rounded to bf16.
  size_t request_weights(std::vector<WeightMatrix> parts, bool exact = false);

  Plan& plan() { return model_.plan; }
  const Graph& graph() const { return model_.graph; }
  const PositionalValues& positional() const { return *model_.positional; }
  TokenAxes& axes() { return model_.positional->token_axes(); }
  ConstantValues& constants() { return constants_; }
  ThreadPool& threads() { return threads_; }

 private:
  std::vector<Meaning>& outputs(const Node& node);
  void define_positional(Value value);
  void require_same_everywhere(Value value, const Tensor& known) const;

  LoweredModel& model_;
  ThreadPool& threads_;
  ConstantValues constants_;
  std::unordered_map<const Node*, std::vector<Meaning>> meanings_;
};

}  // namespace nibble::cpu
