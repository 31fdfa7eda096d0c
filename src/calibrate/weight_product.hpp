#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/memory_block.hpp"
#include "base/thread_pool.hpp"
#include "device/cpu/kernels/isa.hpp"
#include "device/cpu/packed_layout.hpp"
#include "graph/node.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// What products of calibration compute in. `automatic`: bf16 where the processor multiplies in it, else f32, as the CPU device does;
/// weights that are compressed already are always multiplied in f32.
enum class ProductPrecision { automatic, f32, bf16 };

/// MatMul(x, weight) by the kernels of the CPU engine. The weight, or a stack of them [.., rows, columns], is packed for as long as this
/// lives. Immutable and thread-safe.
class WeightProduct {
 public:
  /// nullptr for layers that the kernels do not take: they are left to the operation's `evaluate`.
  static std::unique_ptr<WeightProduct> make(const Node& layer, size_t weight_port, ProductPrecision precision, ThreadPool& threads);

  /// Whether an x of this shape can be multiplied: [.., columns], for a stack as many matrices as there are weights, or one for all.
  bool takes(const Shape& x) const;
  Shape output_shape(const Shape& x) const;
  bool is_stack() const { return matrices_.size() > 1; }
  /// The products of several x of any float type, in the layer's type.
  std::vector<Tensor> multiply(std::span<const Tensor> inputs, ThreadPool& threads) const;

 private:
  struct Job;
  WeightProduct() = default;
  std::vector<Job> jobs_of(std::span<const Tensor> inputs, std::span<Tensor> outputs) const;
  void prepare_rows(std::span<Job> jobs, ThreadPool& threads) const;
  void run(const Job& job, cpu::Range panels) const;

  cpu::Isa isa_ = cpu::Isa::scalar;
  ElementType type_ = ElementType::f32;
  bool uses_bf16_ = false;
  Shape stack_;  ///< dimensions of the weight before the last two
  std::vector<cpu::PackedMatrix> matrices_;
  std::shared_ptr<MemoryBlock> memory_;
};

}  // namespace nibble
