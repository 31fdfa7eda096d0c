#include "checkpoint/gguf/gguf_matrix.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/gguf/ggml_blocks.hpp"

namespace nibble {

namespace {

constexpr int64_t kGroup = 32;
constexpr size_t kLargestBlock = 256;

/// One block of 32 elements as codes, a scale and a zero point.
struct BlockCodes {
  uint8_t* codes;
  float* scale;
  uint8_t* zero_point;
};

void split_nibbles(const uint8_t* packed, uint8_t flip, uint8_t* codes) {
  for (int i = 0; i < 16; ++i) codes[i] = (packed[i] & 15) ^ flip;
  for (int i = 0; i < 16; ++i) codes[16 + i] = static_cast<uint8_t>(packed[i] >> 4) ^ flip;
}

void codes_of_q4_0(const uint8_t* b, BlockCodes out) {
  *out.scale = load_half(b);
  split_nibbles(b + 2, 8, out.codes);  // code - 8 in four bits of two's complement
}

/// The zero point of a block of Q4_1 whose minimum is that many steps below zero; -1 where there is none.
int zero_point_of_q4_1(const uint8_t* b) {
  float d = load_half(b), m = load_half(b + 2);
  for (int z = 0; z < 16; ++z)
    if (-static_cast<float>(z) * d == m) return z;
  return -1;
}

void codes_of_q4_1(const uint8_t* b, BlockCodes out) {
  *out.scale = load_half(b);
  *out.zero_point = static_cast<uint8_t>(zero_point_of_q4_1(b));
  split_nibbles(b + 4, 0, out.codes);
}

void codes_of_q5_0(const uint8_t* b, BlockCodes out) {
  *out.scale = load_half(b);
  uint32_t high = load_u32(b + 2);
  for (int i = 0; i < 32; ++i) {
    int low = i < 16 ? b[6 + i] & 15 : b[6 + i - 16] >> 4;
    out.codes[i] = static_cast<uint8_t>((low | static_cast<int>(high >> i & 1) << 4) - 16);
  }
}

void codes_of_q8_0(const uint8_t* b, BlockCodes out) {
  *out.scale = load_half(b);
  std::copy_n(b + 2, 32, out.codes);
}

void codes_of_iq4_nl(const uint8_t* b, BlockCodes out) {
  *out.scale = load_half(b);
  split_nibbles(b + 2, 0, out.codes);
  for (int i = 0; i < 32; ++i) out.codes[i] = static_cast<uint8_t>(kIq4Levels[out.codes[i]]);
}

void codes_of_mxfp4(const uint8_t* b, BlockCodes out) {
  *out.scale = std::ldexp(1.0f, static_cast<int>(b[0]) - 127);
  split_nibbles(b + 1, 0, out.codes);
}

/// How a type of ggml becomes a grid.
struct GridOfType {
  std::string_view type;
  CodeGrid grid;
  void (*read)(const uint8_t* block, BlockCodes out);
};

constexpr std::array<GridOfType, 6> kGrids{{
    {"Q4_0", {ElementType::i4, kGroup, false, ElementType::f16}, codes_of_q4_0},
    {"Q4_1", {ElementType::u4, kGroup, true, ElementType::f16}, codes_of_q4_1},
    {"Q5_0", {ElementType::i8, kGroup, false, ElementType::f16}, codes_of_q5_0},
    {"Q8_0", {ElementType::i8, kGroup, false, ElementType::f16}, codes_of_q8_0},
    {"IQ4_NL", {ElementType::i8, kGroup, false, ElementType::f16}, codes_of_iq4_nl},
    {"MXFP4", {ElementType::f4e2m1, kGroup, false, ElementType::f8e8m0}, codes_of_mxfp4},
}};

const uint8_t* bytes_of(const std::byte* bytes) { return reinterpret_cast<const uint8_t*>(bytes); }

/// Nothing of Q4_1 is exact but zero points that are whole steps.
bool fits_grid(const GgufTensor& tensor) {
  if (tensor.type->name != "Q4_1") return true;
  for (size_t at = 0; at < tensor.bytes.size(); at += tensor.type->block_bytes)
    if (zero_point_of_q4_1(bytes_of(tensor.bytes.data() + at)) < 0) return false;
  return true;
}

const GridOfType* grid_of(const GgufTensor& tensor) {
  auto found = std::find_if(kGrids.begin(), kGrids.end(), [&](const GridOfType& entry) { return entry.type == tensor.type->name; });
  return found != kGrids.end() && fits_grid(tensor) ? &*found : nullptr;
}

class GgufMatrix final : public EncodedMatrix {
 public:
  GgufMatrix(const GgufTensor& tensor, std::shared_ptr<const MappedFile> file)
      : file_(std::move(file)),
        type_(*tensor.type),
        shape_(tensor.shape),
        data_(tensor.bytes.data()),
        row_bytes_(static_cast<size_t>(shape_.back()) / type_.block_elements * type_.block_bytes),
        grid_(grid_of(tensor)) {}

  const Shape& shape() const override { return shape_; }
  ElementType float_type() const override { return kGgufFloatType; }
  const CodeGrid* grid() const override { return grid_ ? &grid_->grid : nullptr; }

  void read(int64_t row, int64_t begin, std::span<float> out) const override { decode_gguf_row(type_, row_data(row), begin, out); }

  void read_codes(int64_t row, std::span<uint8_t> codes, std::span<float> scales, std::span<uint8_t> zero_points) const override {
    if (!grid_) return EncodedMatrix::read_codes(row, codes, scales, zero_points);
    const uint8_t* block = bytes_of(row_data(row));
    for (size_t i = 0; i < scales.size(); ++i, block += type_.block_bytes)
      grid_->read(block, {codes.data() + i * kGroup, &scales[i], zero_points.empty() ? nullptr : &zero_points[i]});
  }

 private:
  const std::byte* row_data(int64_t row) const { return data_ + static_cast<size_t>(row) * row_bytes_; }

  std::shared_ptr<const MappedFile> file_;
  const GgmlType& type_;
  Shape shape_;
  const std::byte* data_;
  size_t row_bytes_;
  const GridOfType* grid_;
};

}  // namespace

void decode_gguf_row(const GgmlType& type, const std::byte* row, int64_t begin, std::span<float> out) {
  size_t size = type.block_elements, at = static_cast<size_t>(begin);
  std::array<float, kLargestBlock> buffer;
  while (!out.empty()) {
    const uint8_t* block = bytes_of(row) + at / size * type.block_bytes;
    size_t skipped = at % size, whole = skipped == 0 ? out.size() / size : 0, count = whole * size;
    if (whole > 0) {
      type.decode(block, whole, out.data());
    } else {
      type.decode(block, 1, buffer.data());
      count = std::min(out.size(), size - skipped);
      std::copy_n(buffer.begin() + static_cast<std::ptrdiff_t>(skipped), count, out.begin());
    }
    at += count;
    out = out.subspan(count);
  }
}

std::shared_ptr<const EncodedMatrix> make_gguf_matrix(const GgufTensor& tensor, std::shared_ptr<const MappedFile> file) {
  return std::make_shared<GgufMatrix>(tensor, std::move(file));
}

}  // namespace nibble
