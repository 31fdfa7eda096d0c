#pragma once

#include "device/cpu/lowering/lower_products.hpp"
#include "device/cpu/lowering/plan_builder.hpp"

namespace nibble::cpu {

/// Operations element by element, broadcast: Add, Subtract, Multiply, Divide, Minimum, Maximum, Greater, Abs, Select. Sums with a product
/// may become part of its step; products with constants and with positions stay forms. False: the node is none of them.
bool lower_arithmetic(PlanBuilder& builder, ProductLowering& products, Node& node);

}  // namespace nibble::cpu
