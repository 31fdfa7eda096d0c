#include "export/assembled_weight.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "base/file_pages.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr size_t kBlock = 4096;                                    // elements converted at a time through a buffer that stays in L1
constexpr int64_t kTransposedRows = 128, kTransposedColumns = 64;  // of a block: 32 KB of floats, runs of four lines of the cache
constexpr int64_t kEncodedRows = 16;  // rows that are decoded together: as many as share a line of the cache where columns are stored first

constexpr float kLargestHalf = 65504.0f;

/// As OpenVINO saves f16: large values become the largest half, values below its smallest subnormal zero.
void saturate(std::span<float> values) {
  for (float& v : values) {
    v = std::clamp(v, -kLargestHalf, kLargestHalf);
    if (v > -0x1p-24f && v < 0x1p-24f) v = 0.0f;
  }
}

size_t count_above(std::span<const float> values, float largest) {
  size_t count = 0;
  for (float v : values) count += std::fabs(v) > largest;
  return count;
}

size_t count_nan(std::span<const float> values) {
  size_t count = 0;
  for (float v : values) count += v != v;
  return count;
}

/// What is wrong with the values of one produce().
struct Oddities {
  size_t clipped = 0, not_finite = 0;

  void count(std::span<const float> values, ElementType type) {
    bool is_half = type == ElementType::f16;
    size_t infinite = is_half ? 0 : count_above(values, std::numeric_limits<float>::max());
    clipped += is_half ? count_above(values, kLargestHalf) : 0;
    not_finite += infinite + count_nan(values);
  }
};

class AssembledWeight : public ConstantSource {
 public:
  AssembledWeight(WeightParts parts, Shape shape, ElementType type, const WeightRecipe& recipe, std::shared_ptr<WeightFindings> findings)
      : parts_(std::move(parts)),
        shape_(std::move(shape)),
        type_(type),
        has_unit_rows_(recipe.has_unit_rows),
        name_(recipe.parts.front().tensor),
        findings_(std::move(findings)) {
    if (parts_.parts().size() > 1) file_pages_.emplace();
  }
  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return type_; }
  const Shape& shape(size_t) const override { return shape_; }
  int64_t rows() const override { return parts_.rows(); }

  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    Work work{out[0], {}, {}, {}};
    parts_.for_each_run(begin, end, [&](const WeightRows& part, int64_t first, int64_t count, int64_t row) {
      produce_run(part, first, count, static_cast<size_t>((row - begin) * columns()), work);
      if (first + count == part.all_rows()) release(part);
    });
    if (!findings_) return;
    if (work.oddities.clipped) findings_->add_clipped(name_, work.oddities.clipped);
    if (work.oddities.not_finite) findings_->add_not_finite(name_, work.oddities.not_finite);
  }

 private:
  /// One produce().
  struct Work {
    std::span<std::byte> out;
    std::vector<float> buffer, tile;
    Oddities oddities;
  };

  int64_t columns() const { return parts_.columns(); }

  /// Stacked experts are read from front to back, and all of them together are too much to keep.
  void release(const WeightRows& part) const {
    if (file_pages_ && !part.encoded()) file_pages_->release(part.tensor().bytes());
  }

  /// `at`: the first element in work.out.
  void produce_run(const WeightRows& part, int64_t first, int64_t count, size_t at, Work& work) const {
    if (has_unit_rows_) return produce_unit_rows(part, first, count, at, work);
    if (part.encoded()) return produce_encoded(*part.encoded(), first, count, at, work);
    if (part.is_transposed())
      produce_transposed(part, first, count, at, work);
    else if (is_stored_so(part))
      copy(part, first, count, at, work);
    else
      convert(part, first, count, at, work);
  }

  bool is_stored_so(const WeightRows& part) const { return part.tensor().type() == type_ && bit_width(type_) >= 8; }
  size_t element_bytes() const { return bit_width(type_) / 8; }

  void copy(const WeightRows& part, int64_t first, int64_t count, size_t at, Work& work) const {
    size_t from = static_cast<size_t>(first * columns()) * element_bytes();
    auto bytes = part.tensor().bytes().subspan(from, static_cast<size_t>(count * columns()) * element_bytes());
    std::copy(bytes.begin(), bytes.end(), work.out.begin() + static_cast<std::ptrdiff_t>(at * element_bytes()));
    work.oddities.not_finite += count_not_finite(type_, bytes);
  }

  void convert(const WeightRows& part, int64_t first, int64_t count, size_t at, Work& work) const {
    auto size = static_cast<size_t>(count * columns()), from = static_cast<size_t>(first * columns());
    for (size_t done = 0; done < size; done += kBlock) {
      work.buffer.resize(std::min(kBlock, size - done));
      unpack_to_float(part.tensor().type(), part.tensor().data(), from + done, work.buffer);
      store(work.buffer, work, at + done);
    }
  }

  void produce_encoded(const EncodedMatrix& matrix, int64_t first, int64_t count, size_t at, Work& work) const {
    work.buffer.resize(static_cast<size_t>(std::min(count, kEncodedRows) * columns()));
    for (int64_t done = 0; done < count; done += kEncodedRows) {
      int64_t rows = std::min(kEncodedRows, count - done);
      std::span<float> values(work.buffer.data(), static_cast<size_t>(rows * columns()));
      matrix.read_rows(first + done, rows, values);
      store(values, work, at + static_cast<size_t>(done * columns()));
    }
  }

  /// Block by block, so that neighbours in the checkpoint are read together and neighbours in the weight written together.
  void produce_transposed(const WeightRows& part, int64_t first, int64_t count, size_t at, Work& work) const {
    for (int64_t done = 0; done < count;) {
      int64_t rows = std::min({count - done, kTransposedRows, part.rows_left(first + done)});
      for (int64_t column = 0; column < columns(); column += kTransposedColumns) {
        WeightBlock block{first + done, rows, column, std::min(kTransposedColumns, columns() - column)};
        produce_block(part, block, at + static_cast<size_t>(done * columns() + column), work);
      }
      done += rows;
    }
  }

  void produce_block(const WeightRows& part, const WeightBlock& block, size_t at, Work& work) const {
    auto width = static_cast<size_t>(block.columns);
    if (is_stored_so(part)) part.copy_block(block, work.out.subspan(at * element_bytes()), columns());
    if (!is_stored_so(part)) part.read_block(block, work.tile, work.buffer);
    for (int64_t r = 0; r < block.rows; ++r) {
      size_t to = at + static_cast<size_t>(r * columns());
      if (is_stored_so(part))
        work.oddities.not_finite += count_not_finite(type_, work.out.subspan(to * element_bytes(), width * element_bytes()));
      else
        store({work.tile.data() + r * block.columns, width}, work, to);
    }
  }

  void store(std::span<float> values, Work& work, size_t at) const {
    work.oddities.count(values, type_);
    if (type_ == ElementType::f16) saturate(values);
    pack_from_float(type_, values, work.out.data(), at);
  }

  void produce_unit_rows(const WeightRows& part, int64_t first, int64_t count, size_t at, Work& work) const {
    std::vector<float>& values = work.buffer;
    values.resize(static_cast<size_t>(columns()));
    for (int64_t i = 0; i < count; ++i) {
      part.read(first + i, 0, values);
      float length = length_of(values);
      for (float& value : values) value /= length;
      store(values, work, at + static_cast<size_t>(i * columns()));
    }
  }

  /// As torch.nn.functional.normalize, which divides by no less than 1e-12.
  static float length_of(std::span<const float> values) {
    double squares = 0;
    for (float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
    return std::max(static_cast<float>(std::sqrt(squares)), 1e-12f);
  }

  WeightParts parts_;
  Shape shape_;
  ElementType type_;
  bool has_unit_rows_;
  std::string name_;
  std::shared_ptr<WeightFindings> findings_;
  std::optional<FilePages> file_pages_;  ///< of a weight of several tensors
};

}  // namespace

ConstantValue assemble_weight(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape, ElementType type,
                              std::shared_ptr<WeightFindings> findings) {
  WeightParts parts(source, recipe, shape);
  const Tensor& first = parts.parts().front().tensor();
  if (parts.is_whole_part() && first.type() == type && !recipe.has_unit_rows) return first.reshaped(shape);
  return ConstantValue(std::make_shared<AssembledWeight>(std::move(parts), shape, type, recipe, std::move(findings)), 0);
}

}  // namespace nibble
