#include "device/cpu/kernels/kv_block.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/float_types.hpp"

namespace nibble::cpu {

namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kGroupScales = 2 * kKvBlock;  // a scale and an offset for each token

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

size_t code_bytes(KvPrecision precision) {
  switch (precision) {
    case KvPrecision::f32: return 4;
    case KvPrecision::f16:
    case KvPrecision::bf16: return 2;
    case KvPrecision::u8: return 1;
  }
  return 0;
}

size_t scale_bytes(KvPrecision precision, size_t dimensions) {
  return precision == KvPrecision::u8 ? round_up(dimensions, kKvGroup) / kKvGroup * kGroupScales * sizeof(float) : 0;
}

template <class T>
T store(float value);
template <>
float store(float value) {
  return value;
}
template <>
float16 store(float value) {
  return to_float16(value);
}
template <>
bfloat16 store(float value) {
  return to_bfloat16(value);
}

float load(float value) { return value; }
float load(float16 value) { return to_float(value); }
float load(bfloat16 value) { return to_float(value); }

/// Writes `count` numbers `step` apart; false when one of them is stored as NaN or infinity.
template <class T>
bool write_row(std::byte* out, size_t step, const float* x, size_t count) {
  auto* target = reinterpret_cast<T*>(out);
  bool finite = true;
  for (size_t i = 0; i < count; ++i) {
    T stored = store<T>(x[i]);
    finite &= std::isfinite(load(stored));
    target[i * step] = stored;
  }
  return finite;
}

template <class T>
void read_row(const std::byte* in, size_t step, size_t count, float* x) {
  auto* source = reinterpret_cast<const T*>(in);
  for (size_t i = 0; i < count; ++i) x[i] = load(source[i * step]);
}

struct Codes {
  float scale = 0, offset = 0;
  uint8_t codes[kKvGroup] = {};
};

/// Least and greatest of a whole group, and 0 where all is finite, else NaN. Kept in lanes, so that compilers use vectors.
struct Extremes {
  static constexpr size_t kLanes = 8;
  float low[kLanes], high[kLanes], poison[kLanes] = {};

  explicit Extremes(const float* x) {
    for (size_t i = 0; i < kLanes; ++i) low[i] = high[i] = x[i];
    for (size_t first = 0; first < kKvGroup; first += kLanes)
      for (size_t i = 0; i < kLanes; ++i) {
        float value = x[first + i];
        low[i] = value < low[i] ? value : low[i];
        high[i] = value > high[i] ? value : high[i];
        poison[i] += value * 0;
      }
    for (size_t i = 1; i < kLanes; ++i) {
      low[0] = std::min(low[0], low[i]);
      high[0] = std::max(high[0], high[i]);
      poison[0] += poison[i];
    }
  }
};

/// Halves are subtracted and divided, so that the range of -max .. max does not overflow. Adding 2^23 rounds to nearest even.
Codes quantize(const float* x, size_t count) {
  float padded[kKvGroup];
  for (size_t i = 0; i < kKvGroup; ++i) padded[i] = x[i < count ? i : 0];
  Extremes extremes(padded);
  float low = extremes.low[0], scale = extremes.high[0] / 255 - low / 255, half_scale = scale * 0.5f;
  if (extremes.poison[0] != 0) return {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::quiet_NaN(), {}};
  if (half_scale == 0) return {0, low, {}};
  Codes result{scale, low, {}};
  for (size_t i = 0; i < kKvGroup; ++i) {
    float code = (padded[i] * 0.5f - low * 0.5f) / half_scale;
    result.codes[i] = static_cast<uint8_t>(static_cast<int>((code < 255 ? code : 255) + 0x1p23f - 0x1p23f));
  }
  return result;
}

/// Where the codes of a token lie: `step` apart within fours and `four_step` from four to four. Those of values are 128 less than in a
/// group, for which their offsets make up.
struct CodePlaces {
  size_t step, four_step;
  bool is_signed;

  size_t at(size_t i) const { return i / 4 * four_step + i % 4 * step; }
};
constexpr CodePlaces kKeyCodes{1, 4 * kKvBlock, false};
constexpr CodePlaces kValueCodes{4, 16, true};

/// Returns as write_row does.
bool write_codes(std::byte* out, const CodePlaces& places, float* scales, const float* x, size_t count) {
  bool finite = true;
  for (size_t begin = 0; begin < count; begin += kKvGroup, scales += kGroupScales) {
    size_t size = std::min(kKvGroup, count - begin);
    Codes group = quantize(x + begin, size);
    scales[0] = group.scale;
    scales[kKvBlock] = places.is_signed ? std::fma(128.0f, group.scale, group.offset) : group.offset;
    finite &= std::isfinite(group.offset);
    std::byte flip{places.is_signed ? uint8_t{0x80} : uint8_t{0}};
    for (size_t i = 0; i < size; ++i) out[places.at(begin + i)] = std::byte{group.codes[i]} ^ flip;
  }
  return finite;
}

void read_codes(const std::byte* in, const CodePlaces& places, const float* scales, size_t count, float* x) {
  for (size_t i = 0; i < count; ++i) {
    const float* group = scales + i / kKvGroup * kGroupScales;
    auto code = static_cast<uint8_t>(in[places.at(i)]);
    x[i] = std::fma(places.is_signed ? static_cast<float>(static_cast<int8_t>(code)) : static_cast<float>(code), group[0], group[kKvBlock]);
  }
}

float* floats(std::byte* p) { return reinterpret_cast<float*>(p); }
const float* floats(const std::byte* p) { return reinterpret_cast<const float*>(p); }

void mark_token(const KvLayout& layout, std::byte* block, size_t token, bool finite) {
  uint32_t bits;
  std::memcpy(&bits, block + layout.nonfinite, sizeof(bits));
  uint32_t bit = uint32_t{1} << token;
  bits = finite ? bits & ~bit : bits | bit;
  std::memcpy(block + layout.nonfinite, &bits, sizeof(bits));
}

/// Four tokens lie together.
size_t value_codes_at(const KvLayout& layout, size_t token) { return layout.values + token / 4 * 4 * layout.value_lanes + token % 4; }

template <class T>
bool write_token(const KvLayout& layout, std::byte* block, size_t token, const float* key, const float* value) {
  write_row<T>(block + token * sizeof(T), kKvBlock, key, layout.key_dim);
  return write_row<T>(block + layout.values + token * layout.value_lanes * sizeof(T), 1, value, layout.value_dim);
}

bool write_token_codes(const KvLayout& layout, std::byte* block, size_t token, const float* key, const float* value) {
  write_codes(block + 4 * token, kKeyCodes, floats(block + layout.key_scales) + token, key, layout.key_dim);
  return write_codes(block + value_codes_at(layout, token), kValueCodes, floats(block + layout.value_scales) + token, value,
                     layout.value_dim);
}

}  // namespace

KvLayout kv_layout(KvPrecision precision, size_t key_dim, size_t value_dim) {
  KvLayout layout{precision, key_dim, value_dim, round_up(value_dim, 16)};
  size_t code = code_bytes(precision), key_rows = precision == KvPrecision::u8 ? round_up(key_dim, 4) : key_dim;
  layout.key_scales = key_rows * kKvBlock * code;
  layout.values = layout.key_scales + scale_bytes(precision, key_dim);
  layout.value_scales = layout.values + kKvBlock * layout.value_lanes * code;
  layout.nonfinite = layout.value_scales + scale_bytes(precision, value_dim);
  layout.bytes = layout.nonfinite + kCacheLine;
  return layout;
}

void kv_write(const KvLayout& layout, std::byte* block, size_t token, const float* key, const float* value) {
  bool finite = true;
  switch (layout.precision) {
    case KvPrecision::f32: finite = write_token<float>(layout, block, token, key, value); break;
    case KvPrecision::f16: finite = write_token<float16>(layout, block, token, key, value); break;
    case KvPrecision::bf16: finite = write_token<bfloat16>(layout, block, token, key, value); break;
    case KvPrecision::u8: finite = write_token_codes(layout, block, token, key, value); break;
  }
  mark_token(layout, block, token, finite);
}

void kv_read_key(const KvLayout& layout, const std::byte* block, size_t token, float* key) {
  switch (layout.precision) {
    case KvPrecision::f32: return read_row<float>(block + token * 4, kKvBlock, layout.key_dim, key);
    case KvPrecision::f16: return read_row<float16>(block + token * 2, kKvBlock, layout.key_dim, key);
    case KvPrecision::bf16: return read_row<bfloat16>(block + token * 2, kKvBlock, layout.key_dim, key);
    case KvPrecision::u8: return read_codes(block + 4 * token, kKeyCodes, floats(block + layout.key_scales) + token, layout.key_dim, key);
  }
}

void kv_read_value(const KvLayout& layout, const std::byte* block, size_t token, float* value) {
  const std::byte* values = block + layout.values;
  size_t first = token * layout.value_lanes;
  switch (layout.precision) {
    case KvPrecision::f32: return read_row<float>(values + first * 4, 1, layout.value_dim, value);
    case KvPrecision::f16: return read_row<float16>(values + first * 2, 1, layout.value_dim, value);
    case KvPrecision::bf16: return read_row<bfloat16>(values + first * 2, 1, layout.value_dim, value);
    case KvPrecision::u8:
      return read_codes(block + value_codes_at(layout, token), kValueCodes, floats(block + layout.value_scales) + token, layout.value_dim,
                        value);
  }
}

}  // namespace nibble::cpu
