#pragma once

#include <span>
#include <vector>

#include "compress/quantize_kernels.hpp"
#include "graph/constant.hpp"

namespace nibble {

/// Elements [first, first + count) of a float constant as f32: read from a view as they are asked for, or produced once for
/// a lazy constant. For one thread.
class WeightReader {
 public:
  WeightReader(const ConstantValue& weight, size_t first, size_t count, const QuantizeKernels& kernels = quantize_kernels());
  /// `first` counts from the start of the constant.
  void read(size_t first, std::span<float> out) const;

 private:
  void produce(const ConstantValue& weight, size_t first, size_t count);

  ElementType type_;
  const std::byte* data_ = nullptr;  // of element 0 of the constant, or of base_ when it was produced
  size_t base_ = 0;
  Tensor tensor_;
  std::vector<std::vector<std::byte>> produced_;
  const QuantizeKernels* kernels_;
};

}  // namespace nibble
