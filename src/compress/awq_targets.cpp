#include "compress/awq_targets.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace nibble {

namespace {

constexpr size_t kFewBits = 4;

/// NNCF's atomic activations; Gelu is none of them.
bool is_activation(const Node& node) {
  constexpr std::array<std::string_view, 10> types{"Relu",     "Clamp",       "Elu",   "PRelu",  "Sigmoid",
                                                   "HSigmoid", "HardSigmoid", "Swish", "HSwish", "Selu"};
  return std::any_of(types.begin(), types.end(), [&](std::string_view type) { return node.is(type); });
}

bool is_read_once(Value value) { return value.node->uses(value.index).size() == 1; }

/// Whether nothing but the layer reads the weight's constant, directly or converted.
bool is_own_weight(const WeightedLayer& layer) {
  for (Value value = layer.layer->input(layer.port);; value = value.node->input(0)) {
    if (!is_read_once(value)) return false;
    if (value.node == layer.constant) return true;
  }
}

bool has_columns(Value value, size_t columns) {
  const PartialShape& shape = value.shape();
  return shape.rank_is_known() && shape.rank() > 0 && shape[shape.rank() - 1] == static_cast<int64_t>(columns);
}

class Matcher {
 public:
  Matcher(const std::vector<WeightedLayer>& layers, const MatrixLayout& layout, size_t rank)
      : layers_(layers), layout_(layout), rank_(rank) {}

  /// Finds the place of the division for what `layer` reads from `input`.
  bool find(Node& layer, size_t input, AwqTarget& target) const {
    Value x = layer.input(input);
    if (!x.node->is("Multiply")) return is_activation(*x.node) && insert(layer, input, target);
    if (!is_read_once(x)) return false;
    for (size_t i = 0; i < x.node->input_count(); ++i)
      if (x.node->input(i).node->is("MatMul")) return merge(x.node->input(i), target) || insert(*x.node, i, target);
    for (size_t i = 0; i < x.node->input_count(); ++i)
      if (is_activation(*x.node->input(i).node)) return insert(*x.node, i, target);
    return false;
  }

 private:
  bool merge(Value product, AwqTarget& target) const {
    auto found = std::find_if(layers_.begin(), layers_.end(), [&](const WeightedLayer& l) { return l.layer == product.node; });
    if (found == layers_.end() || !is_read_once(product) || !is_own_weight(*found) || found->port != 1) return false;
    const Shape& shape = found->constant->constant().shape();
    auto layout = matrix_layout(shape, found->reduction_axes);
    if (!layout || shape.size() != rank_ || layout->rows != layout_.columns || layout->matrices != layout_.matrices) return false;
    target.previous = *found;
    target.previous_layout = *layout;
    return true;
  }

  bool insert(Node& reader, size_t input, AwqTarget& target) const {
    if (!has_columns(reader.input(input), layout_.columns)) return false;
    target.reader = &reader;
    target.input = input;
    return true;
  }

  const std::vector<WeightedLayer>& layers_;
  const MatrixLayout& layout_;
  size_t rank_;
};

}  // namespace

bool has_few_bits(CompressWeightsMode mode, size_t codebook_size) {
  return is_codebook(mode) ? codebook_size <= size_t{1} << kFewBits : weight_format(mode).bits <= static_cast<int>(kFewBits);
}

std::vector<AwqTarget> find_awq_targets(const std::vector<WeightedLayer>& layers, std::span<const AssignedWeight> weights,
                                        size_t codebook_size) {
  std::vector<AwqTarget> targets;
  for (size_t i = 0; i < weights.size(); ++i) {
    const WeightedLayer& layer = weights[i].layer;
    if (!weights[i].config || !has_few_bits(weights[i].config->mode, codebook_size)) continue;
    if (layer.kind != LayerKind::matmul || layer.port != 1 || layer.layer->attributes().get_bool("transpose_a", false)) continue;
    const Shape& shape = layer.constant->constant().shape();
    auto layout = matrix_layout(shape, layer.reduction_axes);
    if (!layout || !is_own_weight(layer)) continue;
    AwqTarget target;
    target.weight = i;
    target.layout = *layout;
    const PartialShape& x = layer.layer->input(0).shape();
    target.shared = layout->matrices > 1 && !(x.rank_is_known() && x.rank() == 3);
    if (Matcher(layers, *layout, shape.size()).find(*layer.layer, 0, target)) targets.push_back(target);
  }
  return targets;
}

}  // namespace nibble
