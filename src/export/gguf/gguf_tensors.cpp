#include "export/gguf/gguf_tensors.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "checkpoint/shown.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr std::string_view kInterleaved = "gate_up_interleaved";

/// "blk.0.ffn_gate_exps.weight" of "blk.0.ffn_gate_up_interleaved_exps.weight"; empty for other names.
std::string part_of(std::string_view name, std::string_view part) {
  size_t at = name.find(kInterleaved);
  if (at == std::string_view::npos) return {};
  return std::string(name.substr(0, at)) + std::string(part) + std::string(name.substr(at + kInterleaved.size()));
}

Shape doubled_rows(Shape shape) {
  shape.at(1) *= 2;
  return shape;
}

/// Of two stacks [experts, rows, columns] one whose rows take turns.
class InterleavedMatrix final : public EncodedMatrix {
 public:
  InterleavedMatrix(std::shared_ptr<const EncodedMatrix> even, std::shared_ptr<const EncodedMatrix> odd)
      : even_(std::move(even)), odd_(std::move(odd)), shape_(doubled_rows(even_->shape())) {}

  const Shape& shape() const override { return shape_; }
  ElementType float_type() const override { return even_->float_type(); }
  const CodeGrid* grid() const override {
    return even_->grid() && odd_->grid() && *even_->grid() == *odd_->grid() ? even_->grid() : nullptr;
  }
  void read(int64_t row, int64_t begin, std::span<float> out) const override { side(row).read(row / 2, begin, out); }
  void read_codes(int64_t row, std::span<uint8_t> codes, std::span<float> scales, std::span<uint8_t> zero_points) const override {
    side(row).read_codes(row / 2, codes, scales, zero_points);
  }

 private:
  const EncodedMatrix& side(int64_t row) const { return row % 2 == 0 ? *even_ : *odd_; }

  std::shared_ptr<const EncodedMatrix> even_, odd_;
  Shape shape_;
};

/// A plain tensor as rows of numbers.
class PlainMatrix final : public EncodedMatrix {
 public:
  explicit PlainMatrix(Tensor tensor) : tensor_(std::move(tensor)) {}

  const Shape& shape() const override { return tensor_.shape(); }
  ElementType float_type() const override { return tensor_.type(); }
  void read(int64_t row, int64_t begin, std::span<float> out) const override {
    unpack_to_float(tensor_.type(), tensor_.data(), static_cast<size_t>(row * tensor_.shape().back() + begin), out);
  }

 private:
  Tensor tensor_;
};

std::shared_ptr<const EncodedMatrix> matrix_of(const WeightSource& file, const std::string& name) {
  auto matrix = file.encoded(name);
  return matrix ? matrix : std::make_shared<PlainMatrix>(file.get(name));
}

/// Biases [experts, rows] of both, a row's beside each other.
Tensor interleaved_biases(const Tensor& even, const Tensor& odd) {
  std::vector<float> a = to_floats(even), b = to_floats(odd), out;
  for (size_t i = 0; i < a.size(); ++i) out.insert(out.end(), {a[i], b[i]});
  return Tensor::from<float>({even.shape()[0], 2 * even.shape()[1]}, out);
}

}  // namespace

void GgufTensors::use(std::string_view name) const {
  std::lock_guard lock(mutex_);
  if (std::string gate = part_of(name, "gate"); !gate.empty()) {
    used_.insert(gate);
    used_.insert(part_of(name, "up"));
  }
  used_.emplace(name);
}

bool GgufTensors::contains(std::string_view name) const {
  std::string gate = part_of(name, "gate");
  return gate.empty() ? file_->contains(name) : file_->contains(gate) && file_->contains(part_of(name, "up"));
}

WeightInfo GgufTensors::info(std::string_view name) const {
  std::string gate = part_of(name, "gate");
  WeightInfo info = file_->info(gate.empty() ? name : gate);
  if (gate.empty()) {
    if (name.ends_with("ffn_gate_inp_shexp.weight") && info.shape.size() == 1) info.shape.insert(info.shape.begin(), 1);
    return info;
  }
  WeightInfo other = file_->info(part_of(name, "up"));
  if (info.shape.size() < 2 || other.shape != info.shape)
    fail(ErrorKind::corrupt, "{}: tensor {} has shape {}, its neighbour {} has {}", info.file.string(), shown(gate), to_string(info.shape),
         shown(part_of(name, "up")), to_string(other.shape));
  info.shape = doubled_rows(info.shape);
  return info;
}

Tensor GgufTensors::get(std::string_view name) const {
  use(name);
  WeightInfo described = info(name);
  std::string gate = part_of(name, "gate");
  if (gate.empty()) return file_->get(name).reshaped(described.shape);
  if (described.shape.size() == 2) return interleaved_biases(file_->get(gate), file_->get(part_of(name, "up")));
  auto matrix = encoded(name);
  Tensor out(described.type, described.shape);
  auto columns = static_cast<size_t>(described.shape.back());
  std::vector<float> row(columns);
  for (size_t i = 0; i < out.size() / std::max<size_t>(columns, 1); ++i) {
    matrix->read(static_cast<int64_t>(i), 0, row);
    pack_from_float(out.type(), row, out.mutable_data(), i * columns);
  }
  return out;
}

std::shared_ptr<const EncodedMatrix> GgufTensors::encoded(std::string_view name) const {
  use(name);
  std::string gate = part_of(name, "gate");
  if (gate.empty()) return file_->encoded(name);
  if (info(name).shape.size() != 3) return nullptr;
  return std::make_shared<InterleavedMatrix>(matrix_of(*file_, gate), matrix_of(*file_, part_of(name, "up")));
}

void GgufTensors::release(std::string_view name, PageCache cache) const {
  std::string gate = part_of(name, "gate");
  file_->release(gate.empty() ? name : gate, cache);
  if (!gate.empty()) file_->release(part_of(name, "up"), cache);
}

void GgufTensors::refuse_unused() const {
  std::lock_guard lock(mutex_);
  for (const std::string& name : file_->names()) {
    bool is_rope = name.starts_with("rope_freqs.") || name.starts_with("rope_factors_");  // in the configuration already
    if (!is_rope && !used_.contains(name))
      fail(ErrorKind::unsupported, "{}: tensor {} is not known for this architecture; without it the results would be others",
           file_->info(name).file.string(), shown(name));
  }
}

}  // namespace nibble
