#pragma once

#include <optional>

#include "device/cpu/packed_weights.hpp"
#include "device/cpu/plan.hpp"
#include "graph/graph.hpp"
#include "nibble/device.hpp"

namespace nibble::cpu {

/// What the properties of the CPU device ask for.
struct CpuOptions {
  Precision precision;
  WeightCacheOptions cache;
  int threads = 0;  ///< 0: those of the context
  bool pinned = false;
};

/// Reads properties by OpenVINO's names. What they leave open comes from the model's rt_info/runtime_options, then from its weights
/// (a cache of u8 where most are integers, else f16) and the processor: bf16 where it computes in bf16. Throws Error{invalid_argument} for
/// unknown names and values, saying what there is.
CpuOptions read_cpu_properties(const Properties& properties, const Graph& graph);

}  // namespace nibble::cpu
