#include "nibble/tensor.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/fail.hpp"

namespace nibble {

namespace {

struct TypeInfo {
  ElementType type;
  std::string_view name, precision;
  size_t bits;
};

constexpr std::array<TypeInfo, 26> kTypes{{
    {ElementType::dynamic, "dynamic", "UNSPECIFIED", 0},
    {ElementType::boolean, "boolean", "BOOL", 8},
    {ElementType::bf16, "bf16", "BF16", 16},
    {ElementType::f16, "f16", "FP16", 16},
    {ElementType::f32, "f32", "FP32", 32},
    {ElementType::f64, "f64", "FP64", 64},
    {ElementType::i4, "i4", "I4", 4},
    {ElementType::i8, "i8", "I8", 8},
    {ElementType::i16, "i16", "I16", 16},
    {ElementType::i32, "i32", "I32", 32},
    {ElementType::i64, "i64", "I64", 64},
    {ElementType::u1, "u1", "BIN", 1},
    {ElementType::u2, "u2", "U2", 2},
    {ElementType::u3, "u3", "U3", 3},
    {ElementType::u4, "u4", "U4", 4},
    {ElementType::u6, "u6", "U6", 6},
    {ElementType::u8, "u8", "U8", 8},
    {ElementType::u16, "u16", "U16", 16},
    {ElementType::u32, "u32", "U32", 32},
    {ElementType::u64, "u64", "U64", 64},
    {ElementType::nf4, "nf4", "NF4", 4},
    {ElementType::f4e2m1, "f4e2m1", "F4E2M1", 4},
    {ElementType::f8e4m3, "f8e4m3", "F8E4M3", 8},
    {ElementType::f8e5m2, "f8e5m2", "F8E5M2", 8},
    {ElementType::f8e8m0, "f8e8m0", "F8E8M0", 8},
    {ElementType::string, "string", "STRING", 0},
}};

const TypeInfo& info(ElementType type) { return kTypes[static_cast<size_t>(type)]; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

constexpr size_t kAlignment = 64;  // a cache line, and the widest vector register

std::shared_ptr<std::byte> allocate(size_t bytes, bool zeroed = true) {
  if (bytes > static_cast<size_t>(PTRDIFF_MAX)) fail(ErrorKind::exhausted, "out of memory: a tensor of {} bytes does not fit", bytes);
  size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
  if (!memory) fail(ErrorKind::exhausted, "out of memory: a tensor of {} bytes does not fit", bytes);
  if (zeroed) std::memset(memory, 0, rounded);
  return {memory, [](std::byte* p) { std::free(p); }};
}

}  // namespace

std::string_view to_string(ElementType type) { return info(type).name; }

std::string_view to_precision(ElementType type) { return info(type).precision; }

std::optional<ElementType> parse_element_type(std::string_view text) {
  for (const auto& entry : kTypes)
    if (equal_ignoring_case(text, entry.name) || equal_ignoring_case(text, entry.precision)) return entry.type;
  if (equal_ignoring_case(text, "undefined")) return ElementType::dynamic;
  return std::nullopt;
}

size_t bit_width(ElementType type) { return info(type).bits; }

bool is_float(ElementType type) {
  switch (type) {
    case ElementType::bf16:
    case ElementType::f16:
    case ElementType::f32:
    case ElementType::f64:
    case ElementType::nf4:
    case ElementType::f4e2m1:
    case ElementType::f8e4m3:
    case ElementType::f8e5m2:
    case ElementType::f8e8m0: return true;
    default: return false;
  }
}

bool is_integer(ElementType type) {
  return !is_float(type) && type != ElementType::dynamic && type != ElementType::boolean && type != ElementType::string;
}

size_t element_count(const Shape& shape) {
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t count = 1;
  bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  for (int64_t dim : shape) {
    if (dim < 0) fail(ErrorKind::corrupt, "shape {} has a negative dimension", to_string(shape));
    if (empty) continue;
    if (count > kLimit / dim) fail(ErrorKind::corrupt, "shape {} has too many elements", to_string(shape));
    count *= dim;
  }
  return empty ? 0 : static_cast<size_t>(count);
}

size_t packed_bytes(ElementType type, size_t count) {
  if (type == ElementType::u3) return (count + 7) / 8 * 3;
  if (type == ElementType::u6) return (count + 3) / 4 * 3;
  size_t bits = bit_width(type);
  if (bits >= 8) {
    if (count > SIZE_MAX / (bits / 8)) fail(ErrorKind::corrupt, "{} elements of {} do not fit an address space", count, to_string(type));
    return count * (bits / 8);
  }
  return bits == 0 ? 0 : (count + 8 / bits - 1) / (8 / bits);
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

Tensor::Tensor(ElementType type, Shape shape) : type_(type), shape_(std::move(shape)) { own_memory(true); }

Tensor Tensor::uninitialized(ElementType type, Shape shape) {
  Tensor out;
  out.type_ = type;
  out.shape_ = std::move(shape);
  out.own_memory(false);
  return out;
}

void Tensor::own_memory(bool zeroed) {
  count_ = element_count(shape_);
  bytes_ = packed_bytes(type_, count_);
  auto memory = allocate(bytes_, zeroed);
  data_ = memory.get();
  owner_ = std::move(memory);
  writable_ = true;
}

Tensor Tensor::view(ElementType type, Shape shape, std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  Tensor out;
  out.type_ = type;
  out.shape_ = std::move(shape);
  out.count_ = element_count(out.shape_);
  size_t needed = packed_bytes(type, out.count_);
  if (bytes.size() < needed)
    fail(ErrorKind::corrupt, "a {} tensor of shape {} needs {} bytes, there are {}", to_string(type), to_string(out.shape_), needed,
         bytes.size());
  out.bytes_ = type == ElementType::string ? bytes.size() : needed;
  out.data_ = bytes.data();
  out.owner_ = std::move(owner);
  return out;
}

std::byte* Tensor::mutable_data() {
  if (!writable_) fail(ErrorKind::invalid_argument, "a tensor view is read-only");
  return const_cast<std::byte*>(data_);
}

void Tensor::require(ElementType type, size_t alignment) const {
  if (type != type_) fail(ErrorKind::invalid_argument, "the tensor holds {}, not {}", to_string(type_), to_string(type));
  if (reinterpret_cast<uintptr_t>(data_) % alignment != 0 && count_ > 0)
    fail(ErrorKind::invalid_argument, "the tensor view is not aligned for {}: use aligned() first", to_string(type));
}

Tensor Tensor::reshaped(Shape shape) const {
  if (element_count(shape) != count_) fail(ErrorKind::invalid_argument, "cannot view shape {} as {}", to_string(shape_), to_string(shape));
  Tensor out = *this;
  out.shape_ = std::move(shape);
  return out;
}

Tensor Tensor::aligned() const {
  size_t alignment = std::max<size_t>(1, bit_width(type_) / 8);
  return reinterpret_cast<uintptr_t>(data_) % alignment == 0 ? *this : clone();
}

Tensor Tensor::clone() const {
  if (type_ == ElementType::string) {
    auto memory = allocate(bytes_, false);
    std::memcpy(memory.get(), data_, bytes_);
    return view(type_, shape_, {memory.get(), bytes_}, memory);
  }
  Tensor out = uninitialized(type_, shape_);
  if (bytes_ > 0) std::memcpy(out.mutable_data(), data_, bytes_);
  return out;
}

}  // namespace nibble
