#pragma once

#include <map>
#include <utility>
#include <vector>

#include "device/cpu/lowering/lower_states.hpp"
#include "device/cpu/lowering/plan_builder.hpp"
#include "device/cpu/mask_kind.hpp"

namespace nibble::cpu {

/// ScaledDotProductAttention over cached keys and values.
class AttentionLowering {
 public:
  AttentionLowering(PlanBuilder& builder, const StateLowering& states) : builder_(builder), states_(states) {}

  void lower(Node& node);

 private:
  void require_tokens_third(Node& node);
  KvLayer layer_of(const Shape& keys, const Shape& values) const;
  AttentionParameters parameters_of(Node& node, size_t heads, size_t dimensions);
  float scale_of(Value value);
  std::vector<float> sinks_of(const Node& node, size_t heads);
  MaskKind mask_of(const Node& node, size_t heads, float scale);

  PlanBuilder& builder_;
  const StateLowering& states_;
  std::map<std::pair<const Node*, size_t>, MaskKind> masks_;  // by value: layers share them
};

}  // namespace nibble::cpu
