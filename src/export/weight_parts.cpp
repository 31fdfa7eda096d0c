#include "export/weight_parts.hpp"

#include <cstring>

#include "base/fail.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

/// Element (r, c) of `to` is element (c, r) of `from`, of `size` bytes each; both at any address.
template <size_t size>
void transpose(const std::byte* from, size_t from_stride, const WeightBlock& block, std::byte* to, size_t to_stride) {
  auto rows = static_cast<size_t>(block.rows), columns = static_cast<size_t>(block.columns);
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) std::memcpy(to + (r * to_stride + c) * size, from + (c * from_stride + r) * size, size);
}

}  // namespace

WeightRows::WeightRows(Tensor tensor, bool is_transposed, bool is_column)
    : tensor_(std::move(tensor)), transposed_(is_transposed && tensor_.rank() > 1) {
  const Shape& shape = tensor_.shape();
  columns_ = is_column || shape.empty() ? 1 : shape.back();
  rows_ = static_cast<int64_t>(tensor_.size()) / std::max<int64_t>(columns_, 1);
  if (!transposed_) return;
  count_ = rows_ / std::max<int64_t>(shape[shape.size() - 2], 1);
  rows_ = columns_, columns_ = shape[shape.size() - 2];
}

WeightRows::WeightRows(std::shared_ptr<const EncodedMatrix> encoded) : encoded_(std::move(encoded)) {
  const Shape& shape = encoded_->shape();
  columns_ = shape.back();
  rows_ = static_cast<int64_t>(element_count(shape)) / std::max<int64_t>(columns_, 1);
}

void WeightRows::read(int64_t row, int64_t begin, std::span<float> out) const {
  if (encoded_) return encoded_->read(row, begin, out);
  if (!transposed_) return unpack_to_float(tensor_.type(), tensor_.data(), static_cast<size_t>(row * columns_ + begin), out);
  auto first = static_cast<size_t>(row / rows_ * rows_ * columns_ + row % rows_);
  for (size_t i = 0; i < out.size(); ++i)
    unpack_to_float(tensor_.type(), tensor_.data(), first + (static_cast<size_t>(begin) + i) * static_cast<size_t>(rows_),
                    out.subspan(i, 1));
}

size_t WeightRows::element(int64_t row, int64_t column) const {
  return static_cast<size_t>(row / rows_ * rows_ * columns_ + row % rows_ + column * rows_);
}

void WeightRows::read_block(const WeightBlock& block, std::vector<float>& out, std::vector<float>& scratch) const {
  auto rows = static_cast<size_t>(block.rows), columns = static_cast<size_t>(block.columns);
  out.resize(rows * columns);
  scratch.resize(rows);
  for (size_t c = 0; c < columns; ++c) {
    unpack_to_float(tensor_.type(), tensor_.data(), element(block.row, block.column + static_cast<int64_t>(c)), scratch);
    for (size_t r = 0; r < rows; ++r) out[r * columns + c] = scratch[r];
  }
}

void WeightRows::copy_block(const WeightBlock& block, std::span<std::byte> out, int64_t stride) const {
  size_t bytes = bit_width(tensor_.type()) / 8;
  auto copy = bytes == 1 ? transpose<1> : bytes == 2 ? transpose<2> : bytes == 4 ? transpose<4> : transpose<8>;
  copy(tensor_.data() + element(block.row, block.column) * bytes, static_cast<size_t>(rows_), block, out.data(),
       static_cast<size_t>(stride));
}

WeightParts::WeightParts(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape)
    : columns_(shape.size() < 2 ? 1 : shape.back()) {
  for (const WeightPart& part : recipe.parts) add(source, part, shape);
  auto has_columns = [&](const WeightRows& part) { return part.columns() == columns_; };
  if (rows_ * columns_ != static_cast<int64_t>(element_count(shape)) || !std::all_of(parts_.begin(), parts_.end(), has_columns))
    wrong(source, recipe.parts.back(), shape);
  is_whole_part_ = recipe.parts.size() == 1 && recipe.parts[0].rows.empty() && !parts_[0].is_transposed();
}

void WeightParts::add(const WeightSource& source, const WeightPart& part, const Shape& shape) {
  WeightInfo info = source.info(part.tensor);
  if (!is_float(info.type))
    fail(ErrorKind::unsupported, "{}: tensor '{}' holds {}, expected floating-point weights", info.file.string(), part.tensor,
         to_string(info.type));
  if (auto encoded = source.encoded(part.tensor))
    parts_.emplace_back(std::move(encoded));
  else
    parts_.emplace_back(source.get(part.tensor), part.transposed, shape.size() < 2);
  int64_t all = parts_.back().all_rows();
  for (const RowRun& run : part.rows.empty() ? std::vector<RowRun>{{0, all, 1}} : part.rows) {
    if (run.count == 0) continue;
    if (run.begin + (run.count - 1) * run.step >= all) wrong(source, part, shape);
    pieces_.push_back({rows_, run, parts_.size() - 1});
    rows_ += run.count;
  }
}

void WeightParts::wrong(const WeightSource& source, const WeightPart& part, const Shape& shape) const {
  WeightInfo info = source.info(part.tensor);
  fail(ErrorKind::corrupt, "{}: tensor '{}' has shape {}, config.json asks for {}{}", info.file.string(), part.tensor,
       to_string(info.shape), to_string(shape), part.rows.empty() ? "" : " within it");
}

}  // namespace nibble
