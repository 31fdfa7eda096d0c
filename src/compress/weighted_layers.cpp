#include "compress/weighted_layers.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace nibble {

namespace {

bool is_one_of(std::string_view type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

/// The constant behind conversions and reshapes; nullptr when there is none.
Node* constant_behind(Value value) {
  Node* node = value.node;
  while (node && is_one_of(node->type(), {"Convert", "FakeQuantize", "FakeConvert", "Reshape"}) && node->input_count() > 0)
    node = node->input(0).node;
  return node && node->is("Constant") ? node : nullptr;
}

std::optional<LayerKind> kind_of(const Node& node) {
  if (node.is("MatMul")) return LayerKind::matmul;
  if (is_one_of(node.type(), {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData"}))
    return LayerKind::convolution;
  bool table = node.is("Gather") && is_one_of(to_string(node.input(0).type()), {"f16", "f32", "f64"});
  if (table && !node.name().ends_with("nncf_codebook") && constant_behind(node.input(0))) return LayerKind::embedding;
  return std::nullopt;
}

/// Axes of a convolution's weight that number outputs; the other ones are summed over.
std::vector<size_t> convolution_channels(const Node& node) {
  if (node.is("Convolution")) return {0};
  if (node.is("ConvolutionBackpropData")) return {1};
  if (node.is("GroupConvolution")) return {0, 1};
  return {0, 2};
}

/// All axes but the one that is summed over.
std::vector<size_t> matmul_channels(const Node& node, size_t port, size_t rank) {
  bool transposed = node.attributes().get_bool(port == 0 ? "transpose_a" : "transpose_b", false);
  size_t summed = rank < 2 ? 0 : transposed == (port == 0) ? rank - 2 : rank - 1;
  std::vector<size_t> channels;
  for (size_t axis = 0; axis < rank; ++axis)
    if (axis != summed) channels.push_back(axis);
  return channels;
}

std::vector<size_t> reduction_axes(const Node& node, LayerKind kind, size_t port, size_t rank) {
  std::vector<size_t> channels{0}, axes;
  if (kind == LayerKind::matmul) channels = matmul_channels(node, port, rank);
  if (kind == LayerKind::convolution) channels = convolution_channels(node);
  for (size_t axis = 0; axis < rank; ++axis)
    if (std::find(channels.begin(), channels.end(), axis) == channels.end()) axes.push_back(axis);
  return axes;
}

bool has_consumers(const Node& node, std::initializer_list<std::string_view> types) {
  auto uses = node.uses();
  return std::all_of(types.begin(), types.end(), [&](std::string_view type) {
    return std::any_of(uses.begin(), uses.end(), [&](const Node::Use& use) { return use.node->is(type); });
  });
}

bool feeds_cos_and_sin(const Node& node) { return has_consumers(node, {"Cos", "Sin"}); }

/// node -> Concat of it with itself -> Cos and Sin.
bool doubled_feeds_cos_and_sin(const Node& node) {
  for (const auto& use : node.uses()) {
    const Node& concat = *use.node;
    auto& inputs = concat.inputs();
    auto same = std::count_if(inputs.begin(), inputs.end(), [&](const Value& input) { return input.node == &node; });
    if (concat.is("Concat") && same == 2 && feeds_cos_and_sin(concat)) return true;
  }
  return false;
}

/// Multiply -> Cos and Sin -> one Concat.
bool is_sam_encoding(const Node& multiply) {
  for (const auto& cos : multiply.uses())
    for (const auto& sin : multiply.uses()) {
      if (!cos.node->is("Cos") || !sin.node->is("Sin")) continue;
      for (const auto& a : cos.node->uses())
        for (const auto& b : sin.node->uses())
          if (a.node == b.node && a.node->is("Concat")) return true;
    }
  return false;
}

}  // namespace

bool computes_positions(const Node& matmul) {
  if (!matmul.is("MatMul")) return false;
  if (doubled_feeds_cos_and_sin(matmul)) return true;
  for (const auto& use : matmul.uses()) {
    const Node& next = *use.node;
    if (next.is("Transpose") && (feeds_cos_and_sin(next) || doubled_feeds_cos_and_sin(next))) return true;
    if (next.is("Multiply") && is_sam_encoding(next)) return true;
  }
  return false;
}

std::vector<WeightedLayer> weighted_layers(const LayerOrder& order) {
  std::vector<WeightedLayer> layers;
  for (Node* node : order.nodes) {
    if (!order.activations.count(node)) continue;
    auto kind = kind_of(*node);
    if (!kind) continue;
    for (size_t port = 0; port < node->input_count(); ++port) {
      if (order.activations.count(node->input(port).node)) continue;
      Node* constant = constant_behind(node->input(port));
      if (!constant || !is_float(constant->constant().type())) continue;
      size_t rank = constant->constant().shape().size();
      layers.push_back({node, port, constant, *kind, reduction_axes(*node, *kind, port, rank)});
    }
  }
  return layers;
}

}  // namespace nibble
