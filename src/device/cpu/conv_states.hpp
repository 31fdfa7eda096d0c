#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "device/model_runner.hpp"

namespace nibble::cpu {

/// A convolution over the last tokens of every sequence.
struct ConvLayer {
  size_t width = 0;   ///< channels
  size_t kernel = 0;  ///< tokens that a result is made of
};

/// The last inputs of a model's convolutions: kernel - 1 tokens of each sequence, zeros before its first. Not thread-safe; those of
/// different sequences may be read and written concurrently once they are there.
class ConvStates {
 public:
  explicit ConvStates(std::vector<ConvLayer> layers);

  bool empty() const { return layers_.empty(); }
  /// [kernel - 1, width], the latest token last. An unknown sequence starts with zeros.
  float* state(SequenceId sequence, size_t layer);
  void fork(SequenceId from, SequenceId to);
  void release(SequenceId sequence) { states_.erase(sequence); }

  /// What restore() takes back: all states of a sequence, empty for an unknown one.
  std::vector<float> snapshot(SequenceId sequence) const;
  void restore(SequenceId sequence, std::vector<float> snapshot);

 private:
  std::vector<ConvLayer> layers_;
  std::vector<size_t> offsets_;  // of the layers in a sequence's floats
  size_t size_ = 0;
  std::unordered_map<SequenceId, std::vector<float>> states_;
};

}  // namespace nibble::cpu
