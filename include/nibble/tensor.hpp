#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

/// Element types of OpenVINO IR, under their lower-case names there (`f8e4m3`, `boolean`, ...).
enum class ElementType : uint8_t {
  dynamic,
  boolean,
  bf16,
  f16,
  f32,
  f64,
  i4,
  i8,
  i16,
  i32,
  i64,
  u1,
  u2,
  u3,
  u4,
  u6,
  u8,
  u16,
  u32,
  u64,
  nf4,
  f4e2m1,
  f8e4m3,
  f8e5m2,
  f8e8m0,
  string,
};

/// "f32", "u4", "boolean", ... : the spelling of attributes.
std::string_view to_string(ElementType type);
/// "FP32", "U4", "BOOL", ... : the spelling of IR ports.
std::string_view to_precision(ElementType type);
/// Accepts both spellings in any case; nothing when unknown.
std::optional<ElementType> parse_element_type(std::string_view text);

/// Bits of one element: 4 for u4, 8 for boolean, 0 for dynamic and string.
size_t bit_width(ElementType type);
bool is_float(ElementType type);
bool is_integer(ElementType type);  ///< signed or unsigned, boolean not included

using Shape = std::vector<int64_t>;

/// Product of the dimensions; throws Error{corrupt} when negative or beyond 2^62.
size_t element_count(const Shape& shape);
/// Bytes that `count` packed elements take: ceil(count*bits/8); u3 and u6 in whole blocks of three bytes.
size_t packed_bytes(ElementType type, size_t count);
std::string to_string(const Shape& shape);  ///< "[2,3]"

/// IEEE half and bfloat16 as storage types.
struct float16 {
  uint16_t bits = 0;
};
struct bfloat16 {
  uint16_t bits = 0;
};

/// The ElementType that a C++ storage type stands for.
template <class T>
struct element_type_of;
template <>
struct element_type_of<bool> {
  static constexpr auto value = ElementType::boolean;
};
template <>
struct element_type_of<float16> {
  static constexpr auto value = ElementType::f16;
};
template <>
struct element_type_of<bfloat16> {
  static constexpr auto value = ElementType::bf16;
};
template <>
struct element_type_of<float> {
  static constexpr auto value = ElementType::f32;
};
template <>
struct element_type_of<double> {
  static constexpr auto value = ElementType::f64;
};
template <>
struct element_type_of<int8_t> {
  static constexpr auto value = ElementType::i8;
};
template <>
struct element_type_of<int16_t> {
  static constexpr auto value = ElementType::i16;
};
template <>
struct element_type_of<int32_t> {
  static constexpr auto value = ElementType::i32;
};
template <>
struct element_type_of<int64_t> {
  static constexpr auto value = ElementType::i64;
};
template <>
struct element_type_of<uint8_t> {
  static constexpr auto value = ElementType::u8;
};
template <>
struct element_type_of<uint16_t> {
  static constexpr auto value = ElementType::u16;
};
template <>
struct element_type_of<uint32_t> {
  static constexpr auto value = ElementType::u32;
};
template <>
struct element_type_of<uint64_t> {
  static constexpr auto value = ElementType::u64;
};

/// A dense row-major array: either its own memory or a view that keeps its owner alive. Copies share the memory.
/// Not synchronised: concurrent readers are fine, a writer must be alone.
class Tensor {
 public:
  Tensor() = default;
  /// Owns zeroed memory, 64-byte aligned. Throws Error{exhausted} when there is not enough.
  Tensor(ElementType type, Shape shape);
  /// The same with memory that holds anything: for who writes every byte of it.
  static Tensor uninitialized(ElementType type, Shape shape);
  /// A read-only view of `bytes` bytes that lives as long as `owner`. Any alignment.
  static Tensor view(ElementType type, Shape shape, std::span<const std::byte> bytes, std::shared_ptr<const void> owner);
  template <class T>
  static Tensor from(Shape shape, std::span<const T> values);
  template <class T>
  static Tensor scalar(T value) {
    return from<T>({}, std::span<const T>(&value, 1));
  }

  explicit operator bool() const { return type_ != ElementType::dynamic; }
  ElementType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  size_t rank() const { return shape_.size(); }
  /// Number of elements.
  size_t size() const { return count_; }
  size_t byte_size() const { return bytes_; }
  const std::byte* data() const { return data_; }
  std::span<const std::byte> bytes() const { return {data_, bytes_}; }
  /// Throws Error{invalid_argument} on a view.
  std::byte* mutable_data();

  /// Elements as T; throws Error{invalid_argument} when T is not the element type or the view is not aligned for T.
  template <class T>
  std::span<const T> as() const {
    require(element_type_of<T>::value, alignof(T));
    return {reinterpret_cast<const T*>(data_), count_};
  }
  template <class T>
  std::span<T> as_mutable() {
    require(element_type_of<T>::value, alignof(T));
    return {reinterpret_cast<T*>(mutable_data()), count_};
  }

  /// Same memory, other shape of as many elements.
  Tensor reshaped(Shape shape) const;
  /// Itself, or a copy where the memory is not aligned to its element type.
  Tensor aligned() const;
  Tensor clone() const;

 private:
  void require(ElementType type, size_t alignment) const;
  void own_memory(bool zeroed);

  ElementType type_ = ElementType::dynamic;
  Shape shape_;
  size_t count_ = 0;
  size_t bytes_ = 0;
  const std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  bool writable_ = false;
};

template <class T>
Tensor Tensor::from(Shape shape, std::span<const T> values) {
  Tensor out(element_type_of<T>::value, std::move(shape));
  if (out.size() != values.size()) out = Tensor(element_type_of<T>::value, {static_cast<int64_t>(values.size())}).reshaped(out.shape());
  std::copy(values.begin(), values.end(), out.as_mutable<T>().begin());
  return out;
}

}  // namespace nibble
