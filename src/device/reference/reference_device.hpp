#pragma once

#include "device/device.hpp"

namespace nibble {

/// "REFERENCE": runs a graph op by op through each operation's evaluate. The specification of every other device: clear,
/// not fast. Constant subgraphs are folded when compiling, weights decompressed in f32.
class ReferenceDevice : public Device {
 public:
  std::string_view name() const override { return "REFERENCE"; }
  std::string_view description() const override { return "op by op in float32: the specification of the other devices"; }
  std::unique_ptr<CompiledModel> compile(Graph graph, const Properties& properties, Context& context) const override;
};

}  // namespace nibble
