#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nibble/tensor.hpp"

namespace nibble::tokenizer {

/// Strings as tensors hold them: begins and ends (i32) among the bytes of all (u8). Borrows the tensors. Checked on construction: bounds,
/// and that the strings together are not many times as long as their bytes. Throws Error{corrupt}.
class StringsView {
 public:
  /// Three tensors from `first` on.
  explicit StringsView(std::span<const Tensor> tensors, size_t first = 0);
  size_t size() const { return begins_.size(); }
  std::string_view operator[](size_t i) const {
    return std::string_view(chars_.data() + begins_[i], static_cast<size_t>(ends_[i] - begins_[i]));
  }
  size_t begin(size_t i) const { return static_cast<size_t>(begins_[i]); }
  size_t end(size_t i) const { return static_cast<size_t>(ends_[i]); }
  size_t byte_count() const { return chars_.size(); }
  const Shape& shape() const { return shape_; }

 private:
  std::span<const int32_t> begins_, ends_;
  std::string_view chars_;
  Shape shape_;
};

/// Lists of something of which there are `count`: where each begins and ends. Checked alike.
class ListsView {
 public:
  ListsView(std::span<const Tensor> tensors, size_t first, size_t count);
  size_t size() const { return begins_.size(); }
  size_t begin(size_t i) const { return static_cast<size_t>(begins_[i]); }
  size_t end(size_t i) const { return static_cast<size_t>(ends_[i]); }
  const Shape& shape() const { return shape_; }

 private:
  std::span<const int32_t> begins_, ends_;
  Shape shape_;
};

/// Lists of `count` things in tensors that are about to become an operation's output.
class ListsBuilder {
 public:
  void end_list(size_t count);
  size_t size() const { return ends_.size(); }
  /// Two tensors of `shape` to places `first` and `first` + 1.
  void store(const Shape& shape, std::vector<Tensor>& outputs, size_t first) const;

 private:
  std::vector<int32_t> begins_, ends_;
};

/// Strings one after the other, about to become an operation's output.
class StringsBuilder {
 public:
  explicit StringsBuilder(size_t byte_limit) : limit_(byte_limit) {}
  /// Throws Error{exhausted} beyond the limit.
  void add(std::string_view text);
  size_t size() const { return ends_.size(); }
  void store(const Shape& shape, std::vector<Tensor>& outputs, size_t first) const;

 private:
  size_t limit_;
  std::string chars_;
  std::vector<int32_t> begins_, ends_;
};

/// A one-dimensional tensor.
Tensor to_tensor(const std::vector<int32_t>& values);
Tensor to_tensor(const std::vector<bool>& values);
/// The bytes of a tensor of u8.
std::string_view bytes_of(const Tensor& tensor);
/// The one element of an integer tensor.
int64_t one_integer(const Tensor& tensor);

}  // namespace nibble::tokenizer
