#pragma once

#include "device/device.hpp"

namespace nibble::cpu {

/// "CPU": Nibble's own engine. Language models become a plan of fused operations over packed weights and a paged cache of keys and values
/// (docs/performance.md); other graphs run op by op.
class CpuDevice : public Device {
 public:
  std::string_view name() const override { return "CPU"; }
  std::string_view description() const override { return "Nibble's own engine: packed weights, paged KV cache, AVX2 and AVX-512 kernels"; }
  std::unique_ptr<CompiledModel> compile(Graph graph, const Properties& properties, Context& context) const override;
};

}  // namespace nibble::cpu
