#include "device/cpu/moe_match.hpp"

#include <algorithm>
#include <array>

namespace nibble::cpu {

namespace {

bool is_one_of(const Node& node, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), node.type()) != types.end();
}

/// Follows first inputs through operations that move or repeat elements.
Value behind_movement(Value value) {
  while (is_one_of(*value.node, {"Reshape", "Unsqueeze", "Squeeze", "Transpose", "Tile", "Broadcast", "Convert"}))
    value = value.node->input(0);
  return value;
}

/// down(activation(gate(x)) * up(x)): the three products' weights and x.
struct ExpertMatch {
  Value x, gate, up, down;
  Activation activation;
};

bool is_product_with_constant(const Node& node, ConstantValues& constants) {
  return node.is("MatMul") && constants.is_constant(node.input(1)) && node.attributes().get_bool("transpose_b", false) &&
         !node.attributes().get_bool("transpose_a", false);
}

std::optional<ExpertMatch> match_expert(Value value, ConstantValues& constants) {
  const Node& down = *value.node;
  if (!is_product_with_constant(down, constants)) return std::nullopt;
  auto gated = match_gated(down.input(0), constants);
  if (!gated || !is_product_with_constant(*gated->gate.node, constants) || !is_product_with_constant(*gated->up.node, constants))
    return std::nullopt;
  if (!(gated->gate.node->input(0) == gated->up.node->input(0))) return std::nullopt;
  return ExpertMatch{gated->gate.node->input(0), gated->gate.node->input(1), gated->up.node->input(1), down.input(1), gated->activation};
}

/// The inputs of a Multiply such that the first leads to a product behind movements.
std::optional<std::pair<ExpertMatch, Value>> match_weighted_expert(const Node& multiply, ConstantValues& constants) {
  if (!multiply.is("Multiply")) return std::nullopt;
  for (size_t i : {0, 1})
    if (auto expert = match_expert(behind_movement(multiply.input(i)), constants)) return std::pair{*expert, multiply.input(1 - i)};
  return std::nullopt;
}

/// Zeros, whatever their shape.
bool is_zero(Value value, ConstantValues& constants) {
  float number = 1;
  return constants.is_uniform(behind_movement(value), number) && number == 0;
}

std::optional<MoeMatch> match_stacked(const Node& sum, ConstantValues& constants) {
  if (!sum.is("ReduceSum") || sum.attributes().get_bool("keep_dims", false) || !constants.is_constant(sum.input(1))) return std::nullopt;
  if (constants.integers(sum.input(1)) != std::vector<int64_t>{0}) return std::nullopt;
  auto found = match_weighted_expert(*sum.input(0).node, constants);
  if (!found || found->first.gate.shape().rank() != 3) return std::nullopt;
  const Node& scatter = *behind_movement(found->second).node;
  if (!scatter.is("ScatterElementsUpdate") || !scatter.attributes().equals("reduction", "none", "none")) return std::nullopt;
  if (!is_zero(scatter.input(0), constants)) return std::nullopt;
  MoeMatch match;
  match.x = behind_movement(found->first.x);
  match.chosen = scatter.input(1);
  match.weights = scatter.input(2);
  match.activation = found->first.activation;
  match.gate = {found->first.gate};
  match.up = {found->first.up};
  match.down = {found->first.down};
  return match;
}

/// The operation of that type nearest among what first inputs (and, of Gather and Add, second ones) lead to.
const Node* find_before(Value from, std::string_view type) {
  constexpr size_t kMaxNodes = 64;  // such chains have a dozen
  std::vector<const Node*> pending{from.node};
  for (size_t i = 0; i < pending.size() && i < kMaxNodes; ++i) {
    const Node& node = *pending[i];
    if (node.is(type)) return &node;
    for (size_t k = 0; k < std::min<size_t>(node.input_count(), 2); ++k) pending.push_back(node.input(k).node);
  }
  return nullptr;
}

/// One link of the chain: data, indices of the tokens that chose the expert, outputs times weights.
struct LinkMatch {
  ExpertMatch expert;
  int64_t number;
  Value chosen, weights;
};

std::optional<LinkMatch> match_link(const Node& scatter, ConstantValues& constants) {
  auto found = match_weighted_expert(*behind_movement(scatter.input(2)).node, constants);
  const Node* where = find_before(scatter.input(1), "NonZero");
  const Node* pick = where ? where->input(0).node : nullptr;
  if (!found || !pick || !pick->is("Gather") || !constants.is_constant(pick->input(1))) return std::nullopt;
  const Node* one_hot = behind_movement(pick->input(0)).node;
  const Node* table = behind_movement(found->second).node;
  if (!one_hot->is("OneHot") || !table->is("Gather")) return std::nullopt;
  std::vector<int64_t> number = constants.integers(pick->input(1));
  if (number.size() != 1) return std::nullopt;
  return LinkMatch{found->first, number[0], one_hot->input(0), behind_movement(table->input(0))};
}

/// What the rows that a Gather picks for an expert are picked from.
std::optional<Value> gathered_from(Value rows) {
  rows = behind_movement(rows);
  if (!rows.node->is("Gather")) return std::nullopt;
  return behind_movement(rows.node->input(0));
}

std::optional<MoeMatch> match_chain(const Node& last, ConstantValues& constants) {
  MoeMatch match;
  std::vector<LinkMatch> links;
  Value data;  // what the first of them adds to
  for (const Node* node = &last; node->is("ScatterElementsUpdate") && node->attributes().equals("reduction", "sum", "none");
       node = data.node) {
    auto link = match_link(*node, constants);
    if (!link) return std::nullopt;
    links.push_back(*link);
    data = node->input(0);
  }
  if (links.empty() || !is_zero(data, constants)) return std::nullopt;
  std::sort(links.begin(), links.end(), [](const LinkMatch& a, const LinkMatch& b) { return a.number < b.number; });
  auto x = gathered_from(links[0].expert.x);
  if (!x) return std::nullopt;
  match.x = *x;
  match.chosen = links[0].chosen;
  match.weights = links[0].weights;
  match.activation = links[0].expert.activation;
  for (size_t i = 0; i < links.size(); ++i) {
    const LinkMatch& link = links[i];
    auto from = gathered_from(link.expert.x);
    if (link.number != static_cast<int64_t>(i) || !from || !(*from == match.x) || !(link.chosen == match.chosen) ||
        !(link.weights == match.weights))
      return std::nullopt;
    match.gate.push_back(link.expert.gate);
    match.up.push_back(link.expert.up);
    match.down.push_back(link.expert.down);
  }
  return match;
}

}  // namespace

std::optional<MoeMatch> match_moe(Value value, ConstantValues& constants) {
  auto match = match_stacked(*value.node, constants);
  return match ? match : match_chain(*value.node, constants);
}

}  // namespace nibble::cpu
