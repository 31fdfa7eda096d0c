#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/weight_source.hpp"
#include "export/weight_map.hpp"

namespace nibble {

/// Rows [row, row + rows) and columns [column, column + columns).
struct WeightBlock {
  int64_t row = 0, rows = 0, column = 0, columns = 0;
};

/// A tensor of a checkpoint as a row of matrices: rows by columns, as the decoder sees it. A vector is a column, or a row of a matrix.
/// Encoded matrices are never transposed: theirs are rows of outputs in every family.
class WeightRows {
 public:
  WeightRows(Tensor tensor, bool is_transposed, bool is_column);
  explicit WeightRows(std::shared_ptr<const EncodedMatrix> encoded);

  int64_t columns() const { return columns_; }
  int64_t all_rows() const { return count_ * rows_; }
  /// nullptr for a plain tensor.
  const EncodedMatrix* encoded() const { return encoded_.get(); }
  /// Empty for an encoded matrix.
  const Tensor& tensor() const { return tensor_; }
  bool is_transposed() const { return transposed_; }
  /// Columns [begin, begin + out.size()) of a row.
  void read(int64_t row, int64_t begin, std::span<float> out) const;
  /// How many rows from `row` on lie in the same matrix.
  int64_t rows_left(int64_t row) const { return rows_ - row % rows_; }
  /// A block of one matrix of a transposed tensor, row after row. `scratch` is overwritten.
  void read_block(const WeightBlock& block, std::vector<float>& out, std::vector<float>& scratch) const;
  /// The same as it is stored; rows begin `stride` elements apart in `out`.
  void copy_block(const WeightBlock& block, std::span<std::byte> out, int64_t stride) const;

 private:
  /// The index in the tensor of an element of a transposed matrix.
  size_t element(int64_t row, int64_t column) const;

  Tensor tensor_;
  std::shared_ptr<const EncodedMatrix> encoded_;
  int64_t count_ = 1, rows_ = 0, columns_ = 0;
  bool transposed_ = false;
};

/// What a recipe makes a weight of. Immutable, thread-safe.
class WeightParts {
 public:
  /// Throws Error{corrupt} where the checkpoint's tensors do not give `shape`, naming them.
  WeightParts(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape);

  const std::vector<WeightRows>& parts() const { return parts_; }
  int64_t columns() const { return columns_; }
  int64_t rows() const { return rows_; }
  /// All of one part, as it is.
  bool is_whole_part() const { return is_whole_part_; }

  /// Calls visit(part, first row in it, number of rows that follow each other there, row of the weight) for all of rows [begin, end).
  template <class Visit>
  void for_each_run(int64_t begin, int64_t end, Visit&& visit) const {
    auto after = [](int64_t row, const Piece& piece) { return row < piece.first; };
    auto piece = std::prev(std::upper_bound(pieces_.begin(), pieces_.end(), begin, after));
    for (int64_t row = begin; row < end;) {
      while (row >= piece->first + piece->from.count) ++piece;
      int64_t count = piece->from.step == 1 ? std::min(end, piece->first + piece->from.count) - row : 1;
      visit(parts_[piece->part], piece->from.begin + (row - piece->first) * piece->from.step, count, row);
      row += count;
    }
  }

 private:
  /// Rows of the weight that follow each other in the checkpoint.
  struct Piece {
    int64_t first = 0;  ///< row of the weight
    RowRun from;
    size_t part = 0;
  };
  void add(const WeightSource& source, const WeightPart& part, const Shape& shape);
  [[noreturn]] void wrong(const WeightSource& source, const WeightPart& part, const Shape& shape) const;

  std::vector<WeightRows> parts_;
  std::vector<Piece> pieces_;
  int64_t rows_ = 0, columns_ = 1;
  bool is_whole_part_ = false;
};

}  // namespace nibble
