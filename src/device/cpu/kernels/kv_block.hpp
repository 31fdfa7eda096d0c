#pragma once

#include <cstddef>
#include <cstdint>

namespace nibble::cpu {

constexpr size_t kKvBlock = 32;  ///< tokens whose keys and values lie together
constexpr size_t kKvGroup = 32;  ///< dimensions that share a scale and an offset

/// How keys and values are kept. u8: value = code * scale + offset, with a scale and an offset (f32) for every token, head and group of 32
/// dimensions; codes of keys are unsigned, those of values signed, as 8-bit dot products take them.
enum class KvPrecision : uint8_t { f32, f16, bf16, u8 };

/// A block: keys and values of one head for 32 tokens, in memory aligned to 64 bytes that was zero before its first token. The order suits
/// the kernels: lanes are tokens for keys, dimensions for values; four codes are what an 8-bit dot product takes.
/// - keys at 0: [key_dim][32 tokens]; u8: [key_dim / 4][32 tokens][4]
/// - values: [32 tokens][value_lanes]; u8: [8][value_lanes][4 tokens]
/// - u8, both: [groups] of 32 scales and 32 offsets, one a token
/// - nonfinite: a bit for each token whose stored values have a NaN or infinity
struct KvLayout {
  KvPrecision precision = KvPrecision::f32;
  size_t key_dim = 0, value_dim = 0;
  size_t value_lanes = 0;                                                         ///< value_dim, up to a multiple of 16
  size_t key_scales = 0, values = 0, value_scales = 0, nonfinite = 0, bytes = 0;  ///< offsets in bytes; size of a block, a multiple of 64
};
KvLayout kv_layout(KvPrecision precision, size_t key_dim, size_t value_dim);

/// Puts the key and value of a token at its place. Rounds to nearest even. u8: codes span the least and the greatest value of a group, so
/// that constant groups are exact; a group with NaN or infinity becomes NaN.
void kv_write(const KvLayout& layout, std::byte* block, size_t token, const float* key, const float* value);
void kv_read_key(const KvLayout& layout, const std::byte* block, size_t token, float* key);
void kv_read_value(const KvLayout& layout, const std::byte* block, size_t token, float* value);

}  // namespace nibble::cpu
