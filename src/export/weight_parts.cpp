#include "export/weight_parts.hpp"

#include "base/fail.hpp"
#include "tensor/convert.hpp"

namespace nibble {

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
