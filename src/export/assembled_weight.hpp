#pragma once

#include <memory>
#include <vector>

#include "checkpoint/weight_source.hpp"
#include "export/weight_findings.hpp"
#include "export/weight_parts.hpp"
#include "graph/constant.hpp"

namespace nibble {

/// A weight as its recipe puts it together, made from the checkpoint slice by slice. Immutable, thread-safe. Throws Error{corrupt} where
/// the checkpoint's tensors do not give `shape`, naming them. `findings`: told, as values are made, of those that do not fit the type.
ConstantValue assemble_weight(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape, ElementType type,
                              std::shared_ptr<WeightFindings> findings = nullptr);

}  // namespace nibble
