#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/cpu/kernels/isa.hpp"
#include "device/cpu/kernels/kv_block.hpp"

namespace nibble::cpu {

/// e^x = 2^(x * kLog2E). The factor goes into the queries, where it costs nothing.
constexpr float kLog2E = 1.44269504088896341f;

/// Most rows of AttentionKernels::few.
constexpr size_t kFewRows = 16;

/// Query rows of neighbouring tokens for one key head, and the part of its keys to attend to. Row t * heads + h is query head h of token t,
/// which sees the keys up to its own position.
struct AttentionTask {
  const KvLayout* layout = nullptr;
  const std::byte* const* blocks = nullptr;  ///< block b holds the tokens from 32 b on
  size_t key_begin = 0, key_end = 0;         ///< tokens; key_begin is a multiple of 32
  size_t tokens = 0, heads = 0;              ///< of the queries
  size_t position = 0;                       ///< of the first query token
  const float* queries = nullptr;            ///< token t, head h: queries + t * query_stride + h * key_dim
  size_t query_stride = 0;
  float scale = 1;
  float softcap = 0;              ///< scores become softcap * tanh(score / softcap); 0: none
  size_t window = 0;              ///< a token sees this many, itself included; 0: all
  const float* slopes = nullptr;  ///< ALiBi, per head; or nullptr
  float slope_unit = 0;           ///< 0: slope * (key - query) is added, else slope_unit * bf16(slope * bf16(key)), as Falcon has it

  /// The result, for every row, of bits = score * log2(e): a maximum of the bits (or somewhat less; the lowest float where nothing was
  /// seen), the sum of 2^(bits - maximum), and the sum of 2^(bits - maximum) * value, [rows][layout->value_lanes].
  float* maxima = nullptr;
  float* sums = nullptr;
  float* values = nullptr;
  std::byte* scratch = nullptr;  ///< attention_scratch_bytes(), aligned to 64
};

/// Bits of a row depend on its query, its keys and the function, not on other rows of the task; in `few` with u8 also on the task's last
/// token.
struct AttentionKernels {
  std::string_view name;  ///< "attention_12x32_avx512vnni"
  /// Up to kFewRows rows, for decoding: keys and values are read once, as they are stored (u8: in exact integer products with queries and
  /// probabilities that are rounded).
  void (*few)(const AttentionTask& task);
  /// Any number of rows, for prompts: a block is converted once, then multiplied with all rows; over u8 in products of 16-bit integers
  /// where the kernel does not multiply bf16 (and a key has at most 256 dimensions), else of floats.
  void (*many)(const AttentionTask& task);
};

/// What ALiBi adds to a score, by AttentionTask::slopes and slope_unit.
float alibi_bias(float slope, float slope_unit, size_t query, size_t key);

size_t attention_scratch_bytes(const KvLayout& layout, size_t rows);

/// `use_bf16`: `many` multiplies in bf16 where the processor has it.
const AttentionKernels& attention_kernels(Isa isa, bool use_bf16);

}  // namespace nibble::cpu
