#include "tokenizer/openvino/string_tensors.hpp"

#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "tensor/convert.hpp"

namespace nibble::tokenizer {
namespace {

// Strings and lists rarely share what they are made of; crafted ones must not make more of it than it is.
constexpr size_t kMaxSharing = 8, kSharingAllowance = 1 << 16;

const Tensor& tensor_at(std::span<const Tensor> tensors, size_t index, ElementType type) {
  if (index >= tensors.size() || tensors[index].type() != type)
    fail(ErrorKind::corrupt, "tensor {} of strings or lists must be {}", index, to_string(type));
  return tensors[index];
}

/// Ranges of [0, limit).
void check_ranges(std::span<const int32_t> begins, std::span<const int32_t> ends, size_t limit) {
  if (begins.size() != ends.size()) fail(ErrorKind::corrupt, "{} begins and {} ends", begins.size(), ends.size());
  size_t total = 0;
  for (size_t i = 0; i < begins.size(); ++i) {
    if (begins[i] < 0 || ends[i] < begins[i] || static_cast<size_t>(ends[i]) > limit)
      fail(ErrorKind::corrupt, "range {} is {} to {}, of {}", i, begins[i], ends[i], limit);
    total += static_cast<size_t>(ends[i] - begins[i]);
    if (total > kMaxSharing * limit + kSharingAllowance) fail(ErrorKind::corrupt, "ranges cover {} things many times over", limit);
  }
}

int32_t small(size_t value) {
  if (value > static_cast<size_t>(std::numeric_limits<int32_t>::max())) fail(ErrorKind::exhausted, "a text of more than 2 GiB");
  return static_cast<int32_t>(value);
}

Tensor shaped(const std::vector<int32_t>& values, const Shape& shape) {
  const Tensor tensor = to_tensor(values);
  return element_count(shape) == values.size() ? tensor.reshaped(shape) : tensor;
}

}  // namespace

StringsView::StringsView(std::span<const Tensor> tensors, size_t first)
    : begins_(tensor_at(tensors, first, ElementType::i32).as<int32_t>()),
      ends_(tensor_at(tensors, first + 1, ElementType::i32).as<int32_t>()),
      chars_(bytes_of(tensor_at(tensors, first + 2, ElementType::u8))),
      shape_(tensors[first].shape()) {
  check_ranges(begins_, ends_, chars_.size());
}

ListsView::ListsView(std::span<const Tensor> tensors, size_t first, size_t count)
    : begins_(tensor_at(tensors, first, ElementType::i32).as<int32_t>()),
      ends_(tensor_at(tensors, first + 1, ElementType::i32).as<int32_t>()),
      shape_(tensors[first].shape()) {
  check_ranges(begins_, ends_, count);
}

void ListsBuilder::end_list(size_t count) {
  begins_.push_back(ends_.empty() ? 0 : ends_.back());
  ends_.push_back(small(count));
}

void ListsBuilder::store(const Shape& shape, std::vector<Tensor>& outputs, size_t first) const {
  outputs[first] = shaped(begins_, shape);
  outputs[first + 1] = shaped(ends_, shape);
}

void StringsBuilder::add(std::string_view text) {
  if (chars_.size() + text.size() > limit_) fail(ErrorKind::exhausted, "makes more than {} bytes of this text", limit_);
  begins_.push_back(small(chars_.size()));
  chars_.append(text);
  ends_.push_back(small(chars_.size()));
}

void StringsBuilder::store(const Shape& shape, std::vector<Tensor>& outputs, size_t first) const {
  outputs[first] = shaped(begins_, shape);
  outputs[first + 1] = shaped(ends_, shape);
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(chars_.data()), chars_.size());
  outputs[first + 2] = Tensor::from<uint8_t>({static_cast<int64_t>(chars_.size())}, bytes);
}

Tensor to_tensor(const std::vector<int32_t>& values) { return Tensor::from<int32_t>({static_cast<int64_t>(values.size())}, values); }

Tensor to_tensor(const std::vector<bool>& values) {
  Tensor tensor(ElementType::boolean, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.as_mutable<bool>().begin());
  return tensor;
}

std::string_view bytes_of(const Tensor& tensor) {
  if (tensor.type() != ElementType::u8) fail(ErrorKind::corrupt, "a string must be u8, it is {}", to_string(tensor.type()));
  return {reinterpret_cast<const char*>(tensor.data()), tensor.size()};
}

int64_t one_integer(const Tensor& tensor) {
  if (tensor.size() != 1 || !(is_integer(tensor.type()) || tensor.type() == ElementType::boolean))
    fail(ErrorKind::corrupt, "expected one integer, there are {} of {}", tensor.size(), to_string(tensor.type()));
  return to_int64s(tensor).front();
}

}  // namespace nibble::tokenizer
