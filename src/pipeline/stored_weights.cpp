#include "pipeline/stored_weights.hpp"

#include <algorithm>
#include <unordered_set>

namespace nibble {

namespace {

bool passes_weights(const Node& node) {
  for (const char* type : {"Convert", "Multiply", "Subtract", "Reshape", "Transpose"})
    if (node.is(type)) return true;
  return node.is("Gather") && node.input(0).node->is("Constant");  // a codebook look-up
}

}  // namespace

size_t weight_ports(const Node& node) {
  if (node.is("Gather")) return std::min<size_t>(node.input_count(), 1);
  bool is_product = node.is("MatMul") || node.is("Convolution") || node.is("GroupConvolution");
  return is_product ? std::min<size_t>(node.input_count(), 2) : 0;
}

std::vector<const Node*> weight_constants(const Node* source) {
  constexpr size_t kMaxNodes = 64;  // a decompression has about ten
  std::vector<const Node*> constants, open{source};
  std::unordered_set<const Node*> seen{source};
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    if (node->is("Constant")) {
      constants.push_back(node);
      continue;
    }
    if (!passes_weights(*node) || seen.size() > kMaxNodes) return {};
    for (size_t i = node->input_count(); i-- > 0;)
      if (seen.insert(node->input(i).node).second) open.push_back(node->input(i).node);
  }
  return constants;
}

bool holds_weights(const Node& constant) {
  const Shape& shape = constant.constant().shape();
  return !shape.empty() && shape.back() > 1;
}

const Node* largest(const std::vector<const Node*>& constants) {
  return *std::max_element(constants.begin(), constants.end(), [](const Node* a, const Node* b) {
    return element_count(a->constant().shape()) < element_count(b->constant().shape());
  });
}

WeightFormatInfo weight_format_of(const Node& source, const std::vector<const Node*>& constants) {
  const Node* codes = largest(constants);
  WeightFormatInfo format;
  format.codes = to_string(codes->constant().type());
  uint64_t elements = element_count(codes->constant().shape()), scales = 0;
  for (const Node* node : constants) {
    if (node == codes) continue;
    const ConstantValue& value = node->constant();
    auto uses = const_cast<Node*>(node)->uses();
    bool is_table = std::any_of(uses.begin(), uses.end(), [](const Node::Use& use) { return use.node->is("Gather") && use.input == 0; });
    if (is_table && !source.is("Gather")) format.has_codebook = true;
    if (!is_table && (is_float(value.type()) || value.type() == ElementType::f8e8m0))
      scales = std::max(scales, element_count(value.shape()));
    if (value.type() == codes->constant().type() && is_integer(value.type())) format.has_zero_points = true;
  }
  format.is_compressed = scales > 0;
  // Groups are an axis of their own, which a Reshape merges.
  bool is_grouped = source.output_info().shape.rank_is_known() && codes->constant().shape().size() > source.output_info().shape.rank();
  if (format.is_compressed && is_grouped) format.group_size = static_cast<int64_t>(elements / scales);
  return format;
}

}  // namespace nibble
