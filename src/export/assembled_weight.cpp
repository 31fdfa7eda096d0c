#include "export/assembled_weight.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr size_t kBlock = 4096;  // elements converted at a time through a buffer that stays in L1

/// As OpenVINO saves f16: large values become the largest half, values below its smallest subnormal zero.
void saturate(std::span<float> values) {
  for (float& v : values) {
    v = std::clamp(v, -65504.0f, 65504.0f);
    if (v > -0x1p-24f && v < 0x1p-24f) v = 0.0f;
  }
}

/// A tensor as a row of matrices: rows by columns, as the decoder sees it. A vector is a column, or a row of a matrix.
struct Matrices {
  Tensor tensor;
  int64_t count = 1, rows = 0, columns = 0;
  bool transposed = false;

  Matrices(Tensor from, bool is_transposed, bool is_column) : tensor(std::move(from)), transposed(is_transposed && tensor.rank() > 1) {
    const Shape& shape = tensor.shape();
    columns = is_column || shape.empty() ? 1 : shape.back();
    rows = static_cast<int64_t>(tensor.size()) / std::max<int64_t>(columns, 1);
    if (!transposed) return;
    count = rows / std::max<int64_t>(shape[shape.size() - 2], 1);
    rows = columns, columns = shape[shape.size() - 2];
  }
  int64_t all_rows() const { return count * rows; }

  /// Columns [begin, begin + out.size()) of a row.
  void read(int64_t row, int64_t begin, std::span<float> out) const {
    if (!transposed) return unpack_to_float(tensor.type(), tensor.data(), static_cast<size_t>(row * columns + begin), out);
    auto first = static_cast<size_t>(row / rows * rows * columns + row % rows);
    for (size_t i = 0; i < out.size(); ++i)
      unpack_to_float(tensor.type(), tensor.data(), first + (static_cast<size_t>(begin) + i) * static_cast<size_t>(rows),
                      out.subspan(i, 1));
  }
};

int64_t columns_of(const Shape& shape) { return shape.size() < 2 ? 1 : shape.back(); }

/// Rows of the result that follow each other in the checkpoint.
struct Piece {
  int64_t first = 0;  ///< row of the result
  RowRun from;
  size_t part = 0;
};

class AssembledWeight : public ConstantSource {
 public:
  AssembledWeight(std::vector<Matrices> parts, std::vector<Piece> pieces, Shape shape, ElementType type, bool has_unit_rows)
      : parts_(std::move(parts)), pieces_(std::move(pieces)), shape_(std::move(shape)), type_(type), has_unit_rows_(has_unit_rows) {
    columns_ = columns_of(shape_);
    rows_ = static_cast<int64_t>(element_count(shape_)) / std::max<int64_t>(columns_, 1);
  }
  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return type_; }
  const Shape& shape(size_t) const override { return shape_; }
  int64_t rows() const override { return rows_; }

  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    std::vector<float> buffer(std::min<size_t>(static_cast<size_t>(columns_), kBlock));
    auto after = [](int64_t row, const Piece& piece) { return row < piece.first; };
    auto piece = std::prev(std::upper_bound(pieces_.begin(), pieces_.end(), begin, after));
    for (int64_t row = begin; row < end; ++row) {
      while (row >= piece->first + piece->from.count) ++piece;
      produce_row(parts_[piece->part], piece->from.begin + (row - piece->first) * piece->from.step,
                  static_cast<size_t>((row - begin) * columns_), out[0], buffer);
    }
  }

 private:
  void produce_row(const Matrices& part, int64_t row, size_t at, std::span<std::byte> out, std::vector<float>& buffer) const {
    float length = has_unit_rows_ ? length_of(part, row, buffer) : 1;
    for (int64_t done = 0; done < columns_;) {
      auto count = std::min(buffer.size(), static_cast<size_t>(columns_ - done));
      std::span<float> block(buffer.data(), count);
      part.read(row, done, block);
      if (has_unit_rows_)
        for (float& value : block) value /= length;
      if (type_ == ElementType::f16) saturate(block);
      pack_from_float(type_, block, out.data(), at + static_cast<size_t>(done));
      done += static_cast<int64_t>(count);
    }
  }

  /// As torch.nn.functional.normalize, which divides by no less than 1e-12.
  float length_of(const Matrices& part, int64_t row, std::vector<float>& buffer) const {
    double squares = 0;
    for (int64_t done = 0; done < columns_;) {
      std::span<float> block(buffer.data(), std::min(buffer.size(), static_cast<size_t>(columns_ - done)));
      part.read(row, done, block);
      for (float value : block) squares += static_cast<double>(value) * static_cast<double>(value);
      done += static_cast<int64_t>(block.size());
    }
    return std::max(static_cast<float>(std::sqrt(squares)), 1e-12f);
  }

  std::vector<Matrices> parts_;
  std::vector<Piece> pieces_;
  Shape shape_;
  ElementType type_;
  bool has_unit_rows_;
  int64_t columns_ = 1, rows_ = 0;
};

/// Reads the parts and checks that they give `shape`.
class Assembler {
 public:
  Assembler(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape) : source_(source), recipe_(recipe), shape_(shape) {}

  ConstantValue run(ElementType type) {
    int64_t rows = 0, columns = columns_of(shape_);
    for (const WeightPart& part : recipe_.parts) rows = add(part, rows);
    auto has_columns = [&](const Matrices& part) { return part.columns == columns; };
    if (rows * columns != static_cast<int64_t>(element_count(shape_)) || !std::all_of(parts_.begin(), parts_.end(), has_columns)) wrong();
    if (is_plain(type)) return parts_[0].tensor.reshaped(shape_);
    return ConstantValue(std::make_shared<AssembledWeight>(std::move(parts_), std::move(pieces_), shape_, type, recipe_.has_unit_rows), 0);
  }

 private:
  int64_t add(const WeightPart& part, int64_t rows) {
    WeightInfo info = source_.info(part.tensor);
    if (!is_float(info.type))
      fail(ErrorKind::unsupported, "{}: tensor '{}' holds {}, expected floating-point weights", info.file.string(), part.tensor,
           to_string(info.type));
    parts_.emplace_back(source_.get(part.tensor), part.transposed, shape_.size() < 2);
    int64_t all = parts_.back().all_rows();
    for (const RowRun& run : part.rows.empty() ? std::vector<RowRun>{{0, all, 1}} : part.rows) {
      if (run.count == 0) continue;
      if (run.begin + (run.count - 1) * run.step >= all) wrong();
      pieces_.push_back({rows, run, parts_.size() - 1});
      rows += run.count;
    }
    return rows;
  }

  bool is_plain(ElementType type) const {
    return recipe_.parts.size() == 1 && recipe_.parts[0].rows.empty() && !parts_[0].transposed && parts_[0].tensor.type() == type &&
           !recipe_.has_unit_rows;
  }

  [[noreturn]] void wrong() const {
    const WeightPart& part = recipe_.parts[std::max<size_t>(parts_.size(), 1) - 1];
    WeightInfo info = source_.info(part.tensor);
    fail(ErrorKind::corrupt, "{}: tensor '{}' has shape {}, config.json asks for {}{}", info.file.string(), part.tensor,
         to_string(info.shape), to_string(shape_), part.rows.empty() ? "" : " within it");
  }

  const WeightSource& source_;
  const WeightRecipe& recipe_;
  const Shape& shape_;
  std::vector<Matrices> parts_;
  std::vector<Piece> pieces_;
};

}  // namespace

ConstantValue assemble_weight(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape, ElementType type) {
  return Assembler(source, recipe, shape).run(type);
}

}  // namespace nibble
