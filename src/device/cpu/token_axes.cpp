#include "device/cpu/token_axes.hpp"

#include <cmath>
#include <random>

#include "base/fail.hpp"
#include "graph/op_set.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

void note(const Graph& graph, std::map<std::pair<const Node*, size_t>, Shape>& shapes) {
  for (const auto& node : graph.nodes())
    for (size_t i = 0; i < node->output_count(); ++i) {
      const PartialShape& shape = node->output_info(i).shape;
      if (shape.rank_is_known() && shape.is_static()) shapes[{node.get(), i}] = shape.dims();
    }
}

std::optional<TokenAxis> axis_of(const Shape& one, const Shape& two) {
  if (one.size() != two.size()) return std::nullopt;
  std::optional<TokenAxis> found;
  for (size_t i = 0; i < one.size(); ++i) {
    if (one[i] == two[i]) continue;
    if (found || two[i] != 2 * one[i]) return std::nullopt;
    found = TokenAxis{one, two, i};
  }
  return found;
}

}  // namespace

std::vector<size_t> TokenAxis::elements(size_t token) const {
  size_t inner = 1, count = element_count(one);
  for (size_t i = axis; i < one.size(); ++i) inner *= static_cast<size_t>(one[i]);
  std::vector<size_t> indices(count);
  for (size_t i = 0; i < count; ++i) indices[i] = i / inner * 2 * inner + token * inner + i % inner;
  return indices;
}

void TokenAxes::note_one(const Graph& graph) { note(graph, one_); }
void TokenAxes::note_two(const Graph& graph) { note(graph, two_); }

std::optional<TokenAxis> TokenAxes::find(Value value) const {
  Key key{value.node, value.index};
  if (auto known = known_.find(key); known != known_.end()) return known->second;
  auto one = one_.find(key), two = two_.find(key);
  if (one == one_.end() || two == two_.end()) return std::nullopt;
  return axis_of(one->second, two->second);
}

void TokenAxes::set(Value value, TokenAxis axis) { known_[{value.node, value.index}] = std::move(axis); }

namespace {

Tensor random_values(const TokenAxis& axis, ElementType type, std::mt19937& random) {
  Tensor values(ElementType::f32, axis.two);
  std::uniform_real_distribution<float> uniform(0.5f, 2.5f);
  for (float& v : values.as_mutable<float>()) v = uniform(random);
  return convert(values, type);
}

Tensor token_of(const Tensor& both, const TokenAxis& axis, size_t token) {
  std::vector<float> all = to_floats(both), own;
  for (size_t i : axis.elements(token)) own.push_back(all[i]);
  return convert(Tensor::from<float>(axis.one, own), both.type());
}

std::vector<Tensor> evaluate(const Node& node, const std::vector<Tensor>& inputs, ThreadPool& threads) {
  std::vector<Tensor> outputs(node.output_count());
  EvalContext context{node, inputs, outputs, threads};
  node.op().evaluate(context);
  return outputs;
}

bool is_near(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= 1e-5f * (1 + std::abs(a[i])))) return false;
  return a.size() == b.size();
}

}  // namespace

bool keeps_tokens_apart(const Node& node, std::span<const SeparableInput> inputs, ThreadPool& threads) {
  std::mt19937 random(0);
  std::vector<Tensor> both;
  std::vector<std::vector<Tensor>> alone(2);
  for (const SeparableInput& input : inputs) {
    both.push_back(input.axis ? random_values(*input.axis, input.type, random) : input.two);
    for (size_t t : {0, 1}) alone[t].push_back(input.axis ? token_of(both.back(), *input.axis, t) : input.one);
  }
  std::vector<Tensor> together = evaluate(node, both, threads);
  for (size_t t : {0, 1}) {
    std::vector<Tensor> own = evaluate(node, alone[t], threads);
    for (size_t i = 0; i < own.size(); ++i) {
      auto axis = axis_of(own[i].shape(), together[i].shape());
      if (!axis || !is_near(to_floats(own[i]), to_floats(token_of(together[i], *axis, t)))) return false;
    }
  }
  return true;
}

}  // namespace nibble::cpu
