#include "tokenizer/openvino/string_program.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "graph/op_set.hpp"
#include "tokenizer/openvino/plain_ops.hpp"
#include "tokenizer/openvino/string_tensors.hpp"

namespace nibble::tokenizer {
namespace {

// Elements that may be computed of constants when a file is read: enough for any vocabulary.
constexpr size_t kConstantLimit = size_t{1} << 26;

/// Values that pass through: states keep what they begin with, and strings are as StringsView has them everywhere.
bool passes_through(const Node& node) { return node.is("StringTensorUnpack") || node.is("StringTensorPack") || node.is("ReadValue"); }

/// Strings after strings.
std::vector<Tensor> concat_strings(std::span<const Tensor> tensors) {
  size_t bytes = 0;
  for (size_t i = 0; i + 2 < tensors.size(); i += 3) bytes += tensors[i + 2].size();
  StringsBuilder all(bytes);
  for (size_t i = 0; i + 2 < tensors.size(); i += 3) {
    const StringsView strings(tensors, i);
    for (size_t k = 0; k < strings.size(); ++k) all.add(strings[k]);
  }
  std::vector<Tensor> result(3);
  all.store({static_cast<int64_t>(all.size())}, result, 0);
  return result;
}

}  // namespace

const std::vector<Tensor>* StringProgram::Values::find(Value value) const {
  const auto found = tensors_.find({value.node, value.index});
  return found == tensors_.end() ? nullptr : &found->second;
}

const std::vector<Tensor>& StringProgram::Values::get(Value value) const {
  const std::vector<Tensor>* found = find(value);
  if (found == nullptr) fail(ErrorKind::corrupt, "the value of {} is not known", describe(*value.node));
  return *found;
}

const Tensor& StringProgram::constant(Value value) const {
  const std::vector<Tensor>* found = constants_.find(value);
  if (found == nullptr || found->size() != 1) fail(ErrorKind::unsupported, "{}: {} is no constant", place_, describe(*value.node));
  return found->front();
}

template <class Work>
void StringProgram::at(const Node& node, Work work) const {
  try {
    work();
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}: {}", place_, describe(node), error.what());
  }
}

StringProgram::StringProgram(Graph graph, std::string place) : graph_(std::move(graph)), place_(std::move(place)) {
  for (Node* node : graph_.topological_order()) at(*node, [&] { prepare(*node); });
}

void StringProgram::prepare(Node& node) {
  if (node.is("Parameter") || node.is("Result") || node.is("Assign")) return;
  if (node.is("Constant")) return constants_.set(node.output(), {node.constant().tensor()});
  std::vector<std::optional<Tensor>> known;
  for (Value input : node.inputs()) {
    const std::vector<Tensor>* tensors = constants_.find(input);
    known.push_back(tensors != nullptr && tensors->size() == 1 ? std::optional(tensors->front()) : std::nullopt);
  }
  Step step{&node, make_string_op({node, known})};
  if (!step.op && !passes_through(node) && !is_plain_op(node.type()))
    fail(ErrorKind::unsupported, "Nibble does not run this operation in a tokenizer");
  if (node.is("ReadValue") && node.input_count() == 0) fail(ErrorKind::unsupported, "the state has no value to begin with");
  const bool is_known = std::all_of(known.begin(), known.end(), [](const auto& input) { return input.has_value(); });
  if (is_known && !step.op && node.input_count() > 0) return run_step(step, constants_, {true, kConstantLimit});
  steps_.push_back(std::move(step));
}

std::vector<Tensor> StringProgram::inputs_of(const Node& node, const Values& values) const {
  std::vector<Tensor> inputs;
  for (Value input : node.inputs()) {
    const std::vector<Tensor>* found = values.find(input);
    if (found == nullptr) found = &constants_.get(input);
    inputs.insert(inputs.end(), found->begin(), found->end());
  }
  return inputs;
}

void StringProgram::run_step(const Step& step, Values& values, const RunOptions& options) const {
  Node& node = *step.node;
  std::vector<Tensor> inputs = inputs_of(node, values);
  if (node.is("StringTensorPack") || node.is("ReadValue")) return values.set(node.output(), std::move(inputs));
  if (node.is("Concat") && node.output_info().type == ElementType::string) return values.set(node.output(), concat_strings(inputs));
  std::vector<Tensor> outputs(node.output_count());
  if (node.is("StringTensorUnpack")) {
    if (inputs.size() != outputs.size()) fail(ErrorKind::corrupt, "its input is no string");
    outputs = std::move(inputs);
  } else if (step.op) {
    step.op->run(inputs, outputs, options);
  } else {
    if (node.is("ShapeOf")) inputs.resize(1);  // of strings: where they begin has their shape
    if (inputs.size() != node.input_count()) fail(ErrorKind::corrupt, "takes no strings");
    if (element_bound(node, inputs) > static_cast<double>(options.byte_limit))
      fail(ErrorKind::exhausted, "makes more than {} elements of this text", options.byte_limit);
    EvalContext context{node, inputs, outputs, threads_};
    node.op().evaluate(context);
  }
  for (size_t i = 0; i < outputs.size(); ++i) values.set(node.output(i), {std::move(outputs[i])});
}

void StringProgram::run(Values& values, const RunOptions& options) const {
  for (const Step& step : steps_) at(*step.node, [&] { run_step(step, values, options); });
}

}  // namespace nibble::tokenizer
