#include "device/cpu/conv_states.hpp"

namespace nibble::cpu {

ConvStates::ConvStates(std::vector<ConvLayer> layers) : layers_(std::move(layers)) {
  for (const ConvLayer& layer : layers_) {
    offsets_.push_back(size_);
    size_ += (layer.kernel - 1) * layer.width;
  }
}

float* ConvStates::state(SequenceId sequence, size_t layer) {
  std::vector<float>& all = states_[sequence];
  all.resize(size_);
  return all.data() + offsets_[layer];
}

void ConvStates::fork(SequenceId from, SequenceId to) {
  if (from != to) restore(to, snapshot(from));
}

std::vector<float> ConvStates::snapshot(SequenceId sequence) const {
  auto found = states_.find(sequence);
  return found == states_.end() ? std::vector<float>{} : found->second;
}

void ConvStates::restore(SequenceId sequence, std::vector<float> snapshot) {
  if (snapshot.empty())
    release(sequence);
  else
    states_[sequence] = std::move(snapshot);
}

}  // namespace nibble::cpu
