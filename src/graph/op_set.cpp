#include "graph/op_set.hpp"

#include <algorithm>
#include <array>

#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

/// Where OpenVINO's serializer spells a class differently.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kIrNames{
    {{"Constant", "Const"}, {"Softmax", "SoftMax"}, {"PRelu", "PReLU"}, {"Relu", "ReLU"}}};

std::vector<const OpDef*> collect() {
  std::vector<const OpDef*> ops;
  for (auto table :
       {structural_ops(),  elementwise_ops(),   logic_ops(),         selection_ops(), math_ops(),       activation_ops(),  reduction_ops(),
        ordering_ops(),    normalization_ops(), shape_ops(),         expansion_ops(), generation_ops(), movement_ops(),    gather_ops(),
        scatter_ops(),     slice_ops(),         rearrangement_ops(), pad_ops(),       search_ops(),     convolution_ops(), pooling_ops(),
        interpolate_ops(), matmul_ops(),        einsum_ops(),        attention_ops(), string_ops()})
    for (const OpDef& op : table) ops.push_back(&op);
  std::sort(ops.begin(), ops.end(), [](const OpDef* a, const OpDef* b) { return a->type < b->type; });
  return ops;
}

const std::vector<const OpDef*>& sorted_ops() {
  static const std::vector<const OpDef*> ops = collect();
  return ops;
}

}  // namespace

std::span<const OpDef* const> all_ops() { return sorted_ops(); }

const OpDef* find_op(std::string_view type) {
  for (const auto& [name, ir] : kIrNames)
    if (type == ir) type = name;
  const auto& ops = sorted_ops();
  auto found = std::lower_bound(ops.begin(), ops.end(), type, [](const OpDef* op, std::string_view name) { return op->type < name; });
  return found != ops.end() && (*found)->type == type ? *found : nullptr;
}

std::string_view ir_type_name(std::string_view type) {
  for (const auto& [name, ir] : kIrNames)
    if (type == name) return ir;
  return type;
}

}  // namespace nibble
