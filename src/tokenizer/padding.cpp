#include "tokenizer/padding.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace nibble::tokenizer {
namespace {

constexpr size_t kLongestRow = size_t{1} << 31;

size_t row_length(std::span<const Encoding> encodings, const Padding& padding) {
  size_t longest = 0;
  for (const Encoding& encoding : encodings) longest = std::max(longest, encoding.ids.size());
  if (padding.length && longest > *padding.length)
    fail(ErrorKind::invalid_argument, "a text of {} tokens does not fit rows of {}: truncate it", longest, *padding.length);
  const size_t unit = std::max<size_t>(padding.multiple_of, 1), length = padding.length.value_or(longest);
  if (length > kLongestRow || unit > kLongestRow)
    fail(ErrorKind::invalid_argument, "rows of {} tokens are too long", std::max(length, unit));
  return (length + unit - 1) / unit * unit;
}

}  // namespace

TokenBatch pad_encodings(std::span<const Encoding> encodings, const Padding& padding, Side side, int64_t pad_id) {
  TokenBatch batch;
  batch.rows = encodings.size();
  batch.length = row_length(encodings, padding);
  batch.ids.assign(batch.rows * batch.length, pad_id);
  batch.attention_mask.assign(batch.rows * batch.length, 0);
  batch.type_ids.assign(batch.rows * batch.length, 0);
  for (size_t row = 0; row < batch.rows; ++row) {
    const Encoding& encoding = encodings[row];
    const size_t begin = row * batch.length + (side == Side::left ? batch.length - encoding.ids.size() : 0);
    std::copy(encoding.ids.begin(), encoding.ids.end(), batch.ids.begin() + static_cast<std::ptrdiff_t>(begin));
    std::fill_n(batch.attention_mask.begin() + static_cast<std::ptrdiff_t>(begin), encoding.ids.size(), 1);
    std::copy(encoding.type_ids.begin(), encoding.type_ids.end(), batch.type_ids.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  return batch;
}

}  // namespace nibble::tokenizer
