#include "device/reference/reference_device.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/fail.hpp"
#include "base/thread_pool.hpp"
#include "graph/op_set.hpp"
#include "passes/constant_folding.hpp"
#include "passes/decompress_in_f32.hpp"

namespace nibble {

namespace {

std::string port_name(const Node& node) {
  const OutputInfo& info =
      node.is("Result") && node.output_info().names.empty() ? node.input(0).node->output_info(node.input(0).index) : node.output_info();
  return info.names.empty() ? node.name() : *info.names.begin();
}

bool fits(const PartialShape& expected, const Shape& shape) {
  if (!expected.rank_is_known()) return true;
  if (expected.rank() != shape.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i)
    if (expected[i] != kDynamic && expected[i] != shape[i]) return false;
  return true;
}

/// The graph with its order of execution and, per step, the values that nothing later reads.
struct Plan {
  struct Step {
    Node* node;
    std::vector<size_t> inputs;   // slots
    size_t first_output;          // slot; outputs follow each other
    std::vector<size_t> expired;  // slots to drop after the step
  };
  Graph graph;
  std::vector<Step> steps;
  std::vector<Tensor> constants;  // by slot; empty tensors elsewhere
  std::vector<PortInfo> inputs, outputs;
  std::vector<std::pair<size_t, size_t>> parameter_slots;  // (input, slot)
  std::vector<size_t> result_slots;
};

class Planner {
 public:
  explicit Planner(Graph graph) { plan_.graph = std::move(graph); }

  Plan make() {
    for (Node* node : plan_.graph.topological_order()) place(*node);
    for (Node* node : plan_.graph.results()) {
      plan_.outputs.push_back({port_name(*node), node->output_info().type, node->output_info().shape});
      plan_.result_slots.push_back(slot(node->input(0)));
    }
    find_last_uses();
    return std::move(plan_);
  }

 private:
  size_t slot(Value value) const { return slots_.at(value.node) + value.index; }

  void place(Node& node) {
    if (node.is("Result")) return;
    slots_[&node] = plan_.constants.size();
    plan_.constants.resize(plan_.constants.size() + node.output_count());
    if (node.is("Constant")) {
      plan_.constants.back() = node.constant().tensor();
    } else if (node.is("Parameter")) {
      plan_.parameter_slots.emplace_back(plan_.inputs.size(), slots_[&node]);
      plan_.inputs.push_back({port_name(node), node.output_info().type, node.output_info().shape});
    } else {
      add_step(node);
    }
  }

  void add_step(Node& node) {
    bool is_state = node.is("ReadValue") || node.is("Assign");
    if (!node.op().evaluate && !is_state)
      fail(ErrorKind::unsupported, "{}: the REFERENCE device cannot run this operation", describe(node));
    Plan::Step step{&node, {}, slots_[&node], {}};
    for (Value input : node.inputs()) step.inputs.push_back(slot(input));
    plan_.steps.push_back(std::move(step));
  }

  void find_last_uses() {
    std::vector<bool> kept(plan_.constants.size(), false);
    for (size_t s : plan_.result_slots) kept[s] = true;
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
      auto expire = [&](size_t s) {
        if (!kept[s] && !plan_.constants[s]) step->expired.push_back(s);
        kept[s] = true;
      };
      for (size_t s : step->inputs) expire(s);
      for (size_t i = 0; i < step->node->output_count(); ++i) expire(step->first_output + i);
    }
  }

  Plan plan_;
  std::unordered_map<const Node*, size_t> slots_;
};

class ReferenceRequest : public InferRequest {
 public:
  ReferenceRequest(std::shared_ptr<const Plan> plan, Context& context)
      : plan_(std::move(plan)), context_(context), inputs_(plan_->inputs.size()) {}

  void set_input(std::string_view name, Tensor tensor) override {
    const PortInfo& port = plan_->inputs[find(plan_->inputs, name)];
    if (tensor.type() != port.type || !fits(port.shape, tensor.shape()))
      fail(ErrorKind::invalid_argument, "input '{}' takes {} of shape {}, not {} of shape {}", name, to_string(port.type),
           to_string(port.shape), to_string(tensor.type()), to_string(tensor.shape()));
    inputs_[find(plan_->inputs, name)] = tensor.aligned();
  }

  void infer() override {
    std::vector<Tensor> values = plan_->constants;
    for (auto [input, slot] : plan_->parameter_slots) {
      if (!inputs_[input]) fail(ErrorKind::invalid_argument, "input '{}' was not set", plan_->inputs[input].name);
      values[slot] = inputs_[input];
    }
    std::map<std::string, Tensor> assigned;
    for (const auto& step : plan_->steps) {
      run(step, values, assigned);
      for (size_t slot : step.expired) values[slot] = {};
    }
    outputs_.clear();
    for (size_t slot : plan_->result_slots) outputs_.push_back(values[slot]);
    for (auto& [id, tensor] : assigned) states_[id] = tensor;
  }

  Tensor output(std::string_view name) const override {
    size_t index = find(plan_->outputs, name);
    if (index >= outputs_.size()) fail(ErrorKind::invalid_argument, "output '{}' is not there yet: run infer first", name);
    return outputs_[index];
  }

  void reset_state() override { states_.clear(); }

 private:
  static size_t find(const std::vector<PortInfo>& ports, std::string_view name) {
    for (size_t i = 0; i < ports.size(); ++i)
      if (ports[i].name == name) return i;
    fail(ErrorKind::not_found, "the model has no input or output '{}'", name);
  }

  void run(const Plan::Step& step, std::vector<Tensor>& values, std::map<std::string, Tensor>& assigned) {
    const Node& node = *step.node;
    if (node.is("ReadValue")) {
      values[step.first_output] = read_state(step, values);
    } else if (node.is("Assign")) {
      assigned[node.attributes().get_string("variable_id")] = values[step.first_output] = values[step.inputs[0]];
    } else {
      evaluate(step, values);
    }
  }

  Tensor read_state(const Plan::Step& step, const std::vector<Tensor>& values) const {
    auto found = states_.find(step.node->attributes().get_string("variable_id"));
    if (found != states_.end()) return found->second;
    if (!step.inputs.empty()) return values[step.inputs[0]];
    Shape empty = step.node->output_info().shape.dims();
    for (int64_t& dim : empty) dim = std::max<int64_t>(dim, 0);
    return Tensor(step.node->output_info().type, empty);
  }

  void evaluate(const Plan::Step& step, std::vector<Tensor>& values) {
    std::vector<Tensor> inputs, outputs(step.node->output_count());
    for (size_t slot : step.inputs) inputs.push_back(values[slot]);
    EvalContext context{*step.node, inputs, outputs, context_.threads()};
    try {
      step.node->op().evaluate(context);
    } catch (const Error& error) {
      fail(error.kind(), "{}: {}", describe(*step.node), error.what());
    }
    for (size_t i = 0; i < outputs.size(); ++i) values[step.first_output + i] = std::move(outputs[i]);
  }

  std::shared_ptr<const Plan> plan_;
  Context& context_;
  std::vector<Tensor> inputs_, outputs_;
  std::map<std::string, Tensor> states_;
};

class ReferenceModel : public CompiledModel {
 public:
  ReferenceModel(Plan plan, Context& context) : plan_(std::make_shared<const Plan>(std::move(plan))), context_(context) {}
  std::string_view device_name() const override { return "REFERENCE"; }
  const std::vector<PortInfo>& inputs() const override { return plan_->inputs; }
  const std::vector<PortInfo>& outputs() const override { return plan_->outputs; }
  std::unique_ptr<InferRequest> create_request() const override { return std::make_unique<ReferenceRequest>(plan_, context_); }

 private:
  std::shared_ptr<const Plan> plan_;
  Context& context_;
};

/// Performance hints of other devices mean nothing here and are accepted, so that one command line fits all.
bool is_known_property(const std::string& name) {
  static const std::array<std::string_view, 6> known{"INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION", "DYNAMIC_QUANTIZATION_GROUP_SIZE",
                                                     "INFERENCE_NUM_THREADS",    "PERFORMANCE_HINT",   "CACHE_DIR"};
  return std::find(known.begin(), known.end(), name) != known.end();
}

}  // namespace

std::unique_ptr<CompiledModel> ReferenceDevice::compile(Graph graph, const Properties& properties, Context& context) const {
  for (const auto& [name, value] : properties)
    if (!is_known_property(name)) fail(ErrorKind::invalid_argument, "the REFERENCE device does not know the property {}", name);
  decompress_in_f32(graph);
  fold_constants(graph, context.threads());
  return std::make_unique<ReferenceModel>(Planner(std::move(graph)).make(), context);
}

}  // namespace nibble
