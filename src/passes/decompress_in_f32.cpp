#include "passes/decompress_in_f32.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "passes/constant_folding.hpp"

namespace nibble {

namespace {

bool is_half_arithmetic(const Node& node) {
  return (node.is("Multiply") || node.is("Subtract")) && node.output_info().type == ElementType::f16;
}

bool is_table_of_gather(const Node::Use& use) { return use.node->is("Gather") && use.input == 0; }

/// The mark of a Convert to f32 that OpenVINO keeps when it folds what is before it.
bool is_marked_decompression(const Node& node) {
  auto is_mark = [](const auto& entry) { return entry.first == "name" && entry.second == "decompression"; };
  const auto& info = node.rt_info();
  return node.is("Convert") && std::any_of(info.begin(), info.end(), [&](const RtAttribute& attribute) {
           return std::any_of(attribute.begin(), attribute.end(), is_mark);
         });
}

/// Gives the readers of decompressed weights an f32 copy of the chain that computes them, where OpenVINO computes in f32.
class Decompressor {
 public:
  explicit Decompressor(Graph& graph) : graph_(graph), chain_(constant_subgraph(graph)), in_chain_(chain_.begin(), chain_.end()) {}

  void run() {
    for (Node* node : chain_) note_codes(*node);
    for (auto node = chain_.rbegin(); node != chain_.rend(); ++node) note_readers(**node);
    for (Node* node : chain_) copy(*node);
    for (Node* node : chain_)
      if (copies_.count(node)) redirect_readers(*node);
    if (!copies_.empty()) graph_.remove_unused();
  }

 private:
  void note_codes(const Node& node) {
    const Node* from = node.input(0).node;
    auto known = codes_.find(from);
    codes_[&node] = known != codes_.end() ? known->second : from->output_info().type;
  }

  /// Integer tables stay compressed: Gather decompresses the rows that it looks up.
  bool is_compressed_table(const Node& node, const Node::Use& use) const { return is_table_of_gather(use) && is_integer(codes_.at(&node)); }

  void note_readers(const Node& node) {
    auto uses = node.uses();
    bool stays = std::all_of(uses.begin(), uses.end(), [&](const Node::Use& use) {
      bool passes_on = use.node->is("Convert") || use.node->is("Reshape") || use.node->is("Transpose");
      return use.node->is("MatMul") || is_compressed_table(node, use) || (passes_on && stays_compressed_.count(use.node));
    });
    if (stays) stays_compressed_.insert(&node);
  }

  Value as_f32(Value value) { return graph_.add("Convert", {value}, {{"destination_type", "f32"}}).output(); }

  Value input_in_f32(Value value) {
    auto copied = copies_.find(value.node);
    if (copied != copies_.end()) return copied->second->output(value.index);
    if (value.type() != ElementType::f16) return value;
    bool widened = value.node->is("Convert") && value.node->input(0).type() != ElementType::f32;
    return as_f32(widened ? value.node->input(0) : value);
  }

  void copy(const Node& node) {
    bool continues = std::any_of(node.inputs().begin(), node.inputs().end(), [&](Value v) { return copies_.count(v.node) > 0; });
    if (!is_half_arithmetic(node) && !(continues && is_float(node.output_info().type))) return;
    std::vector<Value> inputs;
    for (Value input : node.inputs()) inputs.push_back(input_in_f32(input));
    copies_[&node] = &graph_.add(node.type(), inputs, node.attributes(), node.name() + "/f32", node.opset());
  }

  void redirect_readers(Node& node) {
    bool folded = is_marked_decompression(node) && !stays_compressed_.count(&node);
    for (size_t i = 0; i < node.output_count(); ++i)
      for (const auto& use : node.uses(i))
        if (!in_chain_.count(use.node) && (!folded || is_compressed_table(node, use))) redirect(use, {&node, i});
  }

  void redirect(const Node::Use& use, Value from) {
    Value exact = copies_.at(from.node)->output(from.index);
    Attributes type{{"destination_type", std::string(to_string(from.type()))}};
    use.node->set_input(use.input, exact.type() == from.type() ? exact : graph_.add("Convert", {exact}, type).output());
  }

  Graph& graph_;
  std::vector<Node*> chain_;
  std::unordered_set<const Node*> in_chain_, stays_compressed_;
  std::unordered_map<const Node*, ElementType> codes_;  // what a chain starts from
  std::unordered_map<const Node*, Node*> copies_;
};

}  // namespace

void decompress_in_f32(Graph& graph) { Decompressor(graph).run(); }

}  // namespace nibble
