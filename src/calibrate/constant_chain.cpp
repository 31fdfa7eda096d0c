#include "calibrate/constant_chain.hpp"

#include "device/cpu/weight_match.hpp"
#include "passes/decompress_in_f32.hpp"

namespace nibble {

ConstantChain::ConstantChain(const Node& layer, size_t port, ThreadPool& threads) : copy_(copy_layer(layer, port)), threads_(threads) {
  decompress_in_f32(copy_.graph);
}

std::optional<cpu::WeightMatrix> ConstantChain::matrix() {
  cpu::ConstantValues constants(copy_.graph, threads_);
  return cpu::match_weight(copy_.weight(), constants);
}

Tensor ConstantChain::tensor() { return cpu::ConstantValues(copy_.graph, threads_).tensor(copy_.weight()); }

}  // namespace nibble
