#include "device/cpu/moe_match.hpp"

#include <algorithm>

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

/// Matrices [experts, rows, columns] of as many experts each.
bool is_stack(const ExpertMatch& expert) {
  for (const ExpertProduct* product : {&expert.gate, &expert.up, &expert.down}) {
    if (!product->weight) continue;
    const PartialShape& shape = product->weight.shape();
    if (!shape.is_static() || shape.rank() != 3 || shape[0] != expert.gate.weight.shape()[0]) return false;
  }
  return true;
}

/// Whether experts differ in their matrices only.
bool is_alike(const ExpertMatch& a, const ExpertMatch& b) {
  auto same_bias = [](const ExpertProduct& x, const ExpertProduct& y) { return static_cast<bool>(x.bias) == static_cast<bool>(y.bias); };
  bool same_gate = a.clamped.has_value() == b.clamped.has_value() &&
                   (!a.clamped || (a.clamped->limit == b.clamped->limit && a.clamped->slope == b.clamped->slope));
  return a.activation == b.activation && a.is_interleaved == b.is_interleaved && same_gate && same_bias(a.gate, b.gate) &&
         same_bias(a.up, b.up) && same_bias(a.down, b.down);
}

std::optional<MoeMatch> match_stacked(const Node& sum, ConstantValues& constants) {
  if (!sum.is("ReduceSum") || sum.attributes().get_bool("keep_dims", false) || !constants.is_constant(sum.input(1))) return std::nullopt;
  if (constants.integers(sum.input(1)) != std::vector<int64_t>{0}) return std::nullopt;
  auto found = match_weighted_expert(*sum.input(0).node, constants);
  if (!found || !is_stack(found->first)) return std::nullopt;
  const Node& scatter = *behind_movement(found->second).node;
  if (!scatter.is("ScatterElementsUpdate") || !scatter.attributes().equals("reduction", "none", "none")) return std::nullopt;
  if (!is_zero(scatter.input(0), constants)) return std::nullopt;
  MoeMatch match;
  match.x = behind_movement(found->first.gate.x);
  match.chosen = scatter.input(1);
  match.weights = scatter.input(2);
  match.count = static_cast<size_t>(found->first.gate.weight.shape()[0]);
  match.experts = {found->first};
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
  auto x = gathered_from(links[0].expert.gate.x);
  if (!x) return std::nullopt;
  match.x = *x;
  match.chosen = links[0].chosen;
  match.weights = links[0].weights;
  match.count = links.size();
  for (size_t i = 0; i < links.size(); ++i) {
    const LinkMatch& link = links[i];
    auto from = gathered_from(link.expert.gate.x);
    if (link.number != static_cast<int64_t>(i) || !from || !(*from == match.x) || !(link.chosen == match.chosen) ||
        !(link.weights == match.weights) || !is_alike(link.expert, links[0].expert))
      return std::nullopt;
    match.experts.push_back(link.expert);
  }
  return match;
}

}  // namespace

std::optional<MoeMatch> match_moe(Value value, ConstantValues& constants) {
  auto match = match_stacked(*value.node, constants);
  return match ? match : match_chain(*value.node, constants);
}

}  // namespace nibble::cpu
