#include "calibrate/weight_product.hpp"

#include <algorithm>
#include <optional>

#include "calibrate/constant_chain.hpp"
#include "device/cpu/kernels/float_gemm.hpp"
#include "device/cpu/part_reader.hpp"
#include "device/cpu/weight_packing.hpp"
#include "tensor/convert.hpp"

namespace nibble {

using cpu::Range;

namespace {

/// Panels that a thread multiplies with at once: whole tiles of the kernels (2 or 3 panels), about a millisecond of work for 128 tokens.
constexpr size_t kPanels = 24;

bool is_plain_float(ElementType type) { return type == ElementType::f16 || type == ElementType::bf16 || type == ElementType::f32; }

int64_t product_of(std::span<const int64_t> dims) {
  int64_t product = 1;
  for (int64_t dim : dims) product *= dim;
  return product;
}

/// Weights stored as [columns, rows] and those that have no packed form are taken as floats.
std::optional<cpu::WeightMatrix> oriented(cpu::WeightMatrix weight, ConstantChain& chain, bool transposed, size_t stack) {
  bool has_scales = cpu::is_present(weight.scales) || cpu::is_present(weight.zero_points);
  if ((transposed && (has_scales || !is_plain_float(weight.codes.type()))) || !cpu::can_pack(weight)) {
    size_t rows = weight.rows, columns = weight.columns;
    weight = {weight.name, rows, columns, columns, convert(chain.tensor(), ElementType::f32), {}, {}, {}, 0, false};
  }
  weight.rows /= stack;
  if (!transposed) return weight;
  std::swap(weight.rows, weight.columns);
  weight.group_size = weight.columns;
  weight.transposed = true;
  return weight;
}

std::vector<cpu::PackRequest> requests_of(const cpu::WeightMatrix& weight, size_t stack, bool to_bf16) {
  std::vector<cpu::PackRequest> requests(stack);
  for (size_t i = 0; i < stack; ++i) {
    requests[i].parts = {weight};
    requests[i].parts[0].first_row = i * weight.rows;
    requests[i].options.to_bf16 = to_bf16 && is_plain_float(weight.codes.type());
  }
  return requests;
}

bool has_bf16(cpu::Isa isa) { return isa == cpu::Isa::avx512bf16; }

}  // namespace

/// Rows that are multiplied with one matrix.
struct WeightProduct::Job {
  const cpu::PackedMatrix* weights;
  const float* in;
  size_t rows;
  float* out;
  // Rows as the kernel wants them: as they are, or padded, or rounded.
  size_t stride = 0;
  const float* x = nullptr;
  std::vector<float> padded = {};
  Tensor rounded = {};
};

std::unique_ptr<WeightProduct> WeightProduct::make(const Node& layer, size_t weight_port, ProductPrecision precision, ThreadPool& threads) {
  bool transposes_x = layer.attributes().get_bool("transpose_a", false), rows_first = layer.attributes().get_bool("transpose_b", false);
  if (!layer.is("MatMul") || weight_port != 1 || transposes_x || !is_plain_float(layer.output_info().type)) return nullptr;
  ConstantChain chain(layer, weight_port, threads);
  auto weight = chain.matrix();
  if (!weight) return nullptr;
  std::unique_ptr<WeightProduct> made(new WeightProduct);
  const Shape& shape = layer.input(weight_port).shape().dims();
  made->stack_.assign(shape.begin(), shape.end() - 2);
  auto stack = static_cast<size_t>(product_of(made->stack_));
  weight = oriented(std::move(*weight), chain, !rows_first, stack);
  made->isa_ = cpu::selected_isa();
  made->type_ = layer.output_info().type;
  bool to_bf16 = precision == ProductPrecision::bf16 || (precision == ProductPrecision::automatic && has_bf16(made->isa_));
  auto requests = requests_of(*weight, stack, to_bf16);
  cpu::WeightPacking packing(requests, threads);
  made->memory_ = MemoryBlock::allocate(packing.layout().bytes());
  packing.pack_into(made->memory_->data());
  for (size_t i = 0; i < stack; ++i) made->matrices_.push_back(packing.layout().matrix(i, made->memory_->data()));
  made->uses_bf16_ = to_bf16 && made->matrices_.front().code_type == cpu::CodeType::bf16;
  return made;
}

bool WeightProduct::takes(const Shape& x) const {
  if (x.size() < 2 || x.back() != static_cast<int64_t>(matrices_.front().columns)) return false;
  std::span<const int64_t> leading(x.data(), x.size() - 2);
  return matrices_.size() == 1
             ? leading.size() >= stack_.size()
             : leading.size() == stack_.size() && (product_of(leading) == 1 || Shape(leading.begin(), leading.end()) == stack_);
}

Shape WeightProduct::output_shape(const Shape& x) const {
  Shape shape = x;
  if (matrices_.size() > 1) std::copy(stack_.begin(), stack_.end(), shape.begin());
  shape.back() = static_cast<int64_t>(matrices_.front().rows);
  return shape;
}

std::vector<WeightProduct::Job> WeightProduct::jobs_of(std::span<const Tensor> inputs, std::span<Tensor> outputs) const {
  std::vector<Job> jobs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    size_t columns = matrices_.front().columns, rows = inputs[i].size() / columns, stack = matrices_.size();
    bool is_shared = stack > 1 && product_of({inputs[i].shape().data(), inputs[i].rank() - 2}) == 1;
    if (stack > 1 && !is_shared) rows /= stack;
    for (size_t m = 0; m < stack; ++m) {
      const float* in = inputs[i].as<float>().data() + (is_shared ? 0 : m * rows * columns);
      jobs.push_back({&matrices_[m], in, rows, outputs[i].as_mutable<float>().data() + m * rows * matrices_[m].rows});
    }
  }
  return jobs;
}

void WeightProduct::prepare_rows(std::span<Job> jobs, ThreadPool& threads) const {
  const cpu::Bf16Gemm& kernel = cpu::bf16_gemm(isa_);
  threads.parallel_for(jobs.size(), 1, [&](size_t begin, size_t end) {
    for (Job& job : jobs.subspan(begin, end - begin)) {
      size_t columns = job.weights->columns, width = job.weights->padded_columns();
      job.x = job.in;
      job.stride = uses_bf16_ ? width + cpu::kChunk : width;  // not a multiple of 4096 bytes: such rows share cache sets
      if (uses_bf16_) {
        job.rounded = Tensor::uninitialized(ElementType::u16, {static_cast<int64_t>(job.rows * job.stride)});
        uint16_t* to = job.rounded.as_mutable<uint16_t>().data();
        for (size_t r = 0; r < job.rows; ++r) kernel.round(job.in + r * columns, columns, to + r * job.stride);
      } else if (width != columns) {
        job.padded.resize(job.rows * width);
        for (size_t r = 0; r < job.rows; ++r) std::copy_n(job.in + r * columns, columns, job.padded.data() + r * width);
        job.x = job.padded.data();
      }
    }
  });
}

void WeightProduct::run(const Job& job, Range panels) const {
  cpu::GemmOutput out{job.out, job.weights->rows};
  if (uses_bf16_)
    cpu::bf16_gemm(isa_).multiply(*job.weights, job.rounded.as<uint16_t>().data(), job.stride, out, panels, {0, job.rows});
  else
    cpu::float_gemm(job.weights->code_type, isa_).multiply(*job.weights, job.x, job.stride, out, panels, {0, job.rows});
}

std::vector<Tensor> WeightProduct::multiply(std::span<const Tensor> inputs, ThreadPool& threads) const {
  std::vector<Tensor> floats, outputs;
  for (const Tensor& input : inputs) {
    floats.push_back(convert(input, ElementType::f32));
    outputs.push_back(Tensor::uninitialized(ElementType::f32, output_shape(input.shape())));
  }
  std::vector<Job> jobs = jobs_of(floats, outputs);
  prepare_rows(jobs, threads);
  size_t panels = matrices_.front().panels(), parts = (panels + kPanels - 1) / kPanels;
  threads.parallel_for(jobs.size() * parts, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      size_t first = i % parts * kPanels;
      run(jobs[i / parts], {first, std::min(first + kPanels, panels)});
    }
  });
  for (Tensor& output : outputs) output = convert(output, type_);
  return outputs;
}

}  // namespace nibble
