#include <algorithm>
#include <array>
#include <cmath>

#include "base/fail.hpp"
#include "compress/quantize.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble {

namespace {

constexpr std::array<float, 16> kCb4Levels{-3.5f,    -2.5f,   -1.875f, -1.375f, -1.0f, -0.625f, -0.3125f, 0.0f,
                                           0.28125f, 0.5625f, 0.875f,  1.125f,  1.5f,  2.0f,    2.5f,     3.5f};

/// The last value of each nf4 interval, found from the conversion itself so that there is one table of thresholds.
LevelTable nf4_levels() {
  LevelTable table;
  for (uint8_t code = 0; code < 16; ++code) table.levels.push_back(nf4_to_float(code));
  for (uint8_t code = 0; code < 15; ++code) {
    float low = nf4_to_float(code), high = nf4_to_float(static_cast<uint8_t>(code + 1));
    while (std::nextafter(low, high) < high) {
      float middle = low + (high - low) / 2;
      if (middle <= low || middle >= high) break;
      (float_to_nf4(middle) <= code ? low : high) = middle;
    }
    table.thresholds.push_back(low);
  }
  return table;
}

/// Midpoints are rounded to f16 for a codebook of that type; NNCF widens all narrower ones first.
float rounded_to(ElementType type, float value) { return type == ElementType::f16 ? to_float(to_float16(value)) : value; }

void check_codebook(const Tensor& codebook) {
  constexpr std::array types{ElementType::i8,  ElementType::u8,     ElementType::f16,   ElementType::bf16,
                             ElementType::f32, ElementType::f8e4m3, ElementType::f8e5m2};
  if (codebook.rank() != 1 || codebook.size() < 2)
    fail(ErrorKind::invalid_argument, "a codebook must be one-dimensional with at least two entries, this one has shape {}",
         to_string(codebook.shape()));
  if (codebook.size() > 256) fail(ErrorKind::unsupported, "a codebook of {} entries: at most 256 are supported", codebook.size());
  if (std::find(types.begin(), types.end(), codebook.type()) == types.end())
    fail(ErrorKind::unsupported, "a codebook of {}: use i8, u8, f16, bf16, f32, f8e4m3 or f8e5m2", to_string(codebook.type()));
}

}  // namespace

LevelTable level_table(std::span<const float> levels) {
  LevelTable table;
  table.levels.assign(levels.begin(), levels.end());
  for (size_t i = 0; i + 1 < levels.size(); ++i) table.thresholds.push_back(0.5f * (levels[i] + levels[i + 1]));
  table.largest = std::max(std::fabs(levels.front()), std::fabs(levels.back()));
  return table;
}

const LevelTable& standard_levels(CompressWeightsMode mode) {
  static const LevelTable nf4 = nf4_levels();
  static const LevelTable cb4 = level_table(kCb4Levels);
  return mode == CompressWeightsMode::nf4 ? nf4 : cb4;
}

Tensor cb4_codebook() {
  Tensor codebook(ElementType::f8e4m3, {static_cast<int64_t>(kCb4Levels.size())});
  pack_from_float(ElementType::f8e4m3, kCb4Levels, codebook.mutable_data(), 0);
  return codebook;
}

LevelTable codebook_levels(const Tensor& codebook) {
  check_codebook(codebook);
  std::vector<float> levels = to_floats(codebook);
  for (size_t i = 0; i + 1 < levels.size(); ++i)
    if (!(levels[i] < levels[i + 1]))
      fail(ErrorKind::invalid_argument, "a codebook must be sorted and without repetitions, but entry {} is {} and entry {} is {}", i,
           levels[i], i + 1, levels[i + 1]);
  LevelTable table = level_table(levels);
  for (size_t i = 0; i + 1 < levels.size(); ++i)
    table.thresholds[i] = rounded_to(codebook.type(), 0.5f * rounded_to(codebook.type(), levels[i] + levels[i + 1]));
  return table;
}

}  // namespace nibble
