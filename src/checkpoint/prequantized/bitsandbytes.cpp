// bitsandbytes. 4 bits: X.weight u8, two codes in a byte, the first in the high half, of the flattened matrix; X.weight.quant_map f32 [16];
// X.weight.absmax, one scale for each block of the flattened matrix, f32 or itself quantized (u8 with nested_quant_map and nested_absmax);
// X.weight.quant_state.bitsandbytes__nf4 (or fp4) u8, a JSON text with shape and block sizes. 8 bits: X.weight i8 and X.SCB f32 [out].
#include <array>
#include <cmath>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/prequantized/formats.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble {

namespace {

/// The scales of blocks.
struct BlockScales {
  Tensor absmax;
  // Where absmax is u8:
  std::vector<float> levels, nested;
  int64_t nested_block = 1;
  float offset = 0;

  float at(size_t block) const {
    float value = 0;
    if (levels.empty()) {
      unpack_to_float(absmax.type(), absmax.data(), block, {&value, 1});
      return value;
    }
    auto code = std::to_integer<size_t>(absmax.data()[block]);
    return levels[code] * nested[block / static_cast<size_t>(nested_block)] + offset;
  }
};

struct FourBitParts {
  Shape shape;
  Tensor codes;
  int64_t block = 64;
  std::array<float, 16> levels{};
  BlockScales scales;
};

/// 4-bit codes of a flattened matrix. It has a grid where blocks do not go over the ends of rows and the levels are those of nf4.
class FourBitMatrix final : public EncodedMatrix {
 public:
  explicit FourBitMatrix(FourBitParts parts) : p_(std::move(parts)), columns_(p_.shape[1]) {
    bool is_nf4 = true;
    for (uint8_t code = 0; code < 16; ++code) is_nf4 = is_nf4 && p_.levels[code] == nf4_to_float(code);
    if (is_nf4 && columns_ % p_.block == 0) grid_ = {ElementType::nf4, p_.block, false, ElementType::f32};
  }

  const Shape& shape() const override { return p_.shape; }
  ElementType float_type() const override { return ElementType::f16; }
  const CodeGrid* grid() const override { return grid_.group_size ? &grid_ : nullptr; }

  void read(int64_t row, int64_t begin, std::span<float> out) const override {
    auto first = static_cast<size_t>(row * columns_ + begin), block = static_cast<size_t>(p_.block);
    for (size_t i = 0; i < out.size();) {
      size_t at = first + i, end = std::min(out.size(), (at / block + 1) * block - first);
      float scale = p_.scales.at(at / block);
      for (; i < end; ++i) out[i] = p_.levels[code_at(first + i)] * scale;
    }
  }

  void read_codes(int64_t row, std::span<uint8_t> codes, std::span<float> scales, std::span<uint8_t>) const override {
    auto first = static_cast<size_t>(row * columns_);
    for (size_t i = 0; i < codes.size(); ++i) codes[i] = code_at(first + i);
    for (size_t g = 0; g < scales.size(); ++g) scales[g] = p_.scales.at(first / static_cast<size_t>(p_.block) + g);
  }

 private:
  uint8_t code_at(size_t index) const {
    auto byte = std::to_integer<uint8_t>(p_.codes.data()[index / 2]);
    return index % 2 ? byte & 15 : byte >> 4;
  }

  FourBitParts p_;
  int64_t columns_;
  CodeGrid grid_;
};

class BitsAndBytesReader {
 public:
  explicit BitsAndBytesReader(LayerReader& reader) : reader_(reader) {}

  void run() {
    for (const char* kind : {"nf4", "fp4"}) {
      std::string state = fmt::format(".quant_state.bitsandbytes__{}", kind);
      for (const std::string& weight : reader_.layers(state)) {
        reader_.begin(weight);
        reader_.add(weight, std::make_shared<FourBitMatrix>(read_four_bits(state)));
      }
    }
    for (const std::string& layer : reader_.layers(".SCB")) {
      reader_.begin(layer);
      reader_.add(layer + ".weight", make_grouped_matrix(read_eight_bits()));
    }
  }

 private:
  [[noreturn]] void wrong(std::string_view what) const { fail(ErrorKind::corrupt, "{}: {}", reader_.where(), what); }

  FourBitParts read_four_bits(const std::string& state_name) {
    Tensor text = reader_.tensor(state_name, {ElementType::u8}, 1);
    nlohmann::json state = parse_json(as_text(text.bytes()), reader_.where() + state_name);
    if (!state.is_object()) wrong("its quant_state is no JSON object");
    FourBitParts parts;
    parts.shape = shape_of(state);
    parts.block = positive(state, "blocksize");
    parts.codes = reader_.tensor("", {ElementType::u8, ElementType::i8}, reader_.has("") ? reader_.info("").shape.size() : 2);
    size_t count = element_count(parts.shape), blocks = (count + static_cast<size_t>(parts.block) - 1) / static_cast<size_t>(parts.block);
    if (parts.codes.byte_size() != (count + 1) / 2)
      wrong(fmt::format("{} bytes of codes for {}", parts.codes.byte_size(), to_string(parts.shape)));
    Tensor map = reader_.tensor(".quant_map", {ElementType::f32}, 1);
    reader_.require(".quant_map", map, {16});
    unpack_to_float(ElementType::f32, map.data(), 0, parts.levels);
    parts.scales = read_scales(state, static_cast<int64_t>(blocks));
    return parts;
  }

  BlockScales read_scales(const nlohmann::json& state, int64_t blocks) {
    BlockScales scales;
    scales.absmax = reader_.tensor(".absmax", {ElementType::f32, ElementType::u8}, 1);
    reader_.require(".absmax", scales.absmax, {blocks});
    if (scales.absmax.type() == ElementType::f32) return scales;
    Tensor map = reader_.tensor(".nested_quant_map", {ElementType::f32}, 1),
           nested = reader_.tensor(".nested_absmax", {ElementType::f32}, 1);
    reader_.require(".nested_quant_map", map, {256});
    scales.nested_block = positive(state, "nested_blocksize");
    reader_.require(".nested_absmax", nested, {(blocks + scales.nested_block - 1) / scales.nested_block});
    auto offset = state.find("nested_offset");
    if (offset == state.end() || !offset->is_number()) wrong("its quant_state has no \"nested_offset\"");
    scales.offset = offset->get<float>();
    scales.levels = to_floats(map);
    scales.nested = to_floats(nested);
    return scales;
  }

  int64_t positive(const nlohmann::json& state, const char* key) const {
    constexpr int64_t kLimit = int64_t{1} << 40;
    auto found = state.find(key);
    if (found == state.end() || !found->is_number_integer() || found->get<int64_t>() < 1 || found->get<int64_t>() > kLimit)
      wrong(fmt::format("its quant_state has no \"{}\"", key));
    return found->get<int64_t>();
  }

  Shape shape_of(const nlohmann::json& state) const {
    auto found = state.find("shape");
    if (found == state.end() || !found->is_array() || found->size() != 2) wrong("its quant_state does not say the shape of a matrix");
    Shape shape;
    for (const auto& size : *found) {
      constexpr int64_t kLimit = int64_t{1} << 31;
      if (!size.is_number_integer() || size.get<int64_t>() < 1 || size.get<int64_t>() > kLimit) wrong("its quant_state has a wrong shape");
      shape.push_back(size.get<int64_t>());
    }
    return shape;
  }

  GroupedParts read_eight_bits() {
    Tensor codes = reader_.tensor(".weight", {ElementType::i8}, 2), scales = reader_.tensor(".SCB", kScaleTypes, 1);
    reader_.require(".SCB", scales, {codes.shape()[0]});
    if (reader_.has(".weight_format")) {
      std::vector<float> format =
          to_floats(reader_.single(".weight_format", {ElementType::u8, ElementType::i8, ElementType::i32, ElementType::i64}));
      if (format[0] != 0)
        fail(ErrorKind::unsupported,
             "{}: 8-bit weights that are not stored by rows (weight_format {}) are not supported; save the model again", reader_.where(),
             format[0]);
    }
    GroupedParts parts;
    parts.shape = codes.shape();
    parts.codes = ElementType::u8;
    parts.bits = 8;
    parts.zero = 128;
    parts.plane = plane_of_bytes(codes, codes.shape()[1], 0x80);
    parts.scale_type = ElementType::f32;
    parts.scales = group_values(scales, {1, 1, 1}, 127);
    parts.groups = groups_of_size(codes.shape()[1], codes.shape()[1]);
    return parts;
  }

  LayerReader& reader_;
};

}  // namespace

void read_bitsandbytes(LayerReader& reader) { BitsAndBytesReader(reader).run(); }

}  // namespace nibble
