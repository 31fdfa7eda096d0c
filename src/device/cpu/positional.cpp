#include "device/cpu/positional.hpp"

#include <numeric>
#include <unordered_set>

#include "base/fail.hpp"
#include "device/cpu/constant_values.hpp"
#include "graph/op_set.hpp"

namespace nibble::cpu {

PositionalValues::PositionalValues(Graph& graph, const TokenDependence& dependence, ThreadPool& threads)
    : dependence_(dependence), threads_(threads) {
  learn_shapes(graph);
  ConstantValues constants(graph, threads);
  for (Node* node : graph.topological_order()) {
    if (!dependence.is_positional(*node)) continue;
    order_.push_back(node);
    if (node->is("ShapeOf")) continue;
    for (Value input : node->inputs())
      if (constants.is_constant(input) && !constants_.count(input.node)) constants_[input.node] = constants.tensor(input);
  }
}

/// Parameters get the shapes of a batch of one sequence; the state those of its past. A state's first dynamic dimension is the batch, the
/// other the past; one of three dimensions keeps as many tokens, however many there were.
void PositionalValues::set_window(Graph& graph, TokenWindow window) {
  for (Node* node : graph.parameters()) {
    const PartialShape& shape = node->output_info().shape;
    size_t rank = shape.rank_is_known() ? shape.rank() : 2;
    bool is_mask = node->name() == "attention_mask" || node->output_info().names.count("attention_mask") > 0;
    std::vector<int64_t> dims(rank, 1);
    if (rank >= 2) dims.back() = is_mask ? window.past + window.count : window.count;
    node->attributes().set("shape", to_string(PartialShape(dims)));
  }
  for (Node* node : graph.of_type("ReadValue")) {
    Shape dims = parse_partial_shape(node->attributes().get_string("variable_shape")).dims();
    bool keeps_last = dims.size() == 3 && dims[1] > 0 && dims[2] > 0;
    if (dims.size() != 4 && !keeps_last)
      fail(ErrorKind::unsupported, "{}: a state of {} dimensions is not a cache of keys or values", describe(*node), dims.size());
    dims[0] = 1;
    if (!keeps_last) dims[2] = window.past;
    node->attributes().set("variable_shape", to_string(PartialShape(dims)));
  }
}

PositionalValues::Shapes PositionalValues::infer(Graph& graph, TokenWindow window) const {
  set_window(graph, window);
  graph.infer();
  Shapes shapes;
  for (const auto& node : graph.nodes()) {
    if (!node->is("ShapeOf") || !dependence_.is_positional(*node)) continue;
    const PartialShape& shape = node->input(0).shape();
    if (shape.rank_is_known() && shape.is_static()) shapes[node.get()] = shape.dims();
  }
  return shapes;
}

void PositionalValues::learn_shapes(Graph& graph) {
  // Numbers that no model has as a dimension of its own, to tell products from sums.
  Shapes past = infer(graph, {1, 1}), both = infer(graph, {12, 19}), more = infer(graph, {2, 0});
  axes_.note_two(graph);
  Shapes one = infer(graph, {1, 0});
  axes_.note_one(graph);
  for (const auto& [node, base] : one) {
    Dimensions dimensions;
    bool known = more.count(node) && past.count(node) && both.count(node);
    for (size_t i = 0; known && i < base.size(); ++i) {
      Dimension d{base[i], more[node][i] - base[i], past[node][i] - base[i]};
      known = d.base + 11 * d.per_token + 19 * d.per_past == both[node][i];
      dimensions.push_back(d);
    }
    if (known) dimensions_[node] = std::move(dimensions);
  }
}

Tensor PositionalValues::input(const Node& parameter, TokenWindow window) const {
  auto is = [&](std::string_view name) { return parameter.name() == name || parameter.output_info().names.count(std::string(name)) > 0; };
  if (is("attention_mask")) {
    std::vector<int64_t> ones(static_cast<size_t>(window.past + window.count), 1);
    return Tensor::from<int64_t>({1, window.past + window.count}, ones);
  }
  if (is("position_ids")) {
    std::vector<int64_t> positions(static_cast<size_t>(window.count));
    std::iota(positions.begin(), positions.end(), window.past);
    return Tensor::from<int64_t>({1, window.count}, positions);
  }
  if (is("beam_idx")) return Tensor::from<int32_t>({1}, std::vector<int32_t>{0});
  fail(ErrorKind::unsupported, "{}: an input of a language model that is not known here", describe(parameter));
}

Tensor PositionalValues::shape(const Node& shape_of, TokenWindow window) const {
  auto found = dimensions_.find(&shape_of);
  if (found == dimensions_.end()) fail(ErrorKind::unsupported, "{}: the shape does not follow from the lengths", describe(shape_of));
  std::vector<int64_t> dims;
  for (const Dimension& d : found->second) dims.push_back(d.base + (window.count - 1) * d.per_token + window.past * d.per_past);
  auto rank = static_cast<int64_t>(dims.size());
  if (shape_of.output_info().type == ElementType::i32) return Tensor::from<int32_t>({rank}, std::vector<int32_t>(dims.begin(), dims.end()));
  return Tensor::from<int64_t>({rank}, dims);
}

std::vector<Tensor> PositionalValues::compute(const Node& node, TokenWindow window,
                                              const std::unordered_map<const Node*, std::vector<Tensor>>& done) const {
  if (node.is("Parameter")) return {input(node, window)};
  if (node.is("ShapeOf")) return {shape(node, window)};
  if (node.is("Result")) return {Tensor()};
  std::vector<Tensor> inputs, outputs(node.output_count());
  for (Value value : node.inputs()) {
    auto found = done.find(value.node);
    inputs.push_back(found != done.end() ? found->second[value.index] : constants_.at(value.node));
  }
  if (!node.op().evaluate) fail(ErrorKind::unsupported, "{}: cannot be computed from positions", describe(node));
  EvalContext context{node, inputs, outputs, threads_};
  node.op().evaluate(context);
  return outputs;
}

std::vector<Tensor> PositionalValues::evaluate(const std::vector<Value>& values, TokenWindow window) const {
  std::unordered_set<const Node*> needed;
  for (Value value : values) needed.insert(value.node);
  for (auto node = order_.rbegin(); node != order_.rend(); ++node)
    if (needed.count(*node) && !(*node)->is("ShapeOf"))
      for (Value input : (*node)->inputs()) needed.insert(input.node);
  std::unordered_map<const Node*, std::vector<Tensor>> done;
  for (const Node* node : order_)
    if (needed.count(node)) done[node] = compute(*node, window, done);
  std::vector<Tensor> results;
  for (Value value : values) results.push_back(done.at(value.node)[value.index]);
  return results;
}

}  // namespace nibble::cpu
