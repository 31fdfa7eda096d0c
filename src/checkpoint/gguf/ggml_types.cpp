#include "checkpoint/gguf/ggml_types.hpp"

#include <algorithm>
#include <array>

#include "checkpoint/gguf/ggml_blocks.hpp"

namespace nibble {

namespace {

template <uint32_t kElements, uint32_t kBytes, void (*decode_block)(const uint8_t*, float*)>
void decode_all(const uint8_t* blocks, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) decode_block(blocks + i * kBytes, out + i * kElements);
}

template <uint32_t kElements, uint32_t kBytes, void (*decode_block)(const uint8_t*, float*)>
constexpr GgmlType blocks(uint32_t number, std::string_view name) {
  return {number, name, kElements, kBytes, ElementType::dynamic, decode_all<kElements, kBytes, decode_block>};
}

constexpr GgmlType numbers(uint32_t number, std::string_view name, ElementType type, uint32_t bytes) {
  return {number, name, 1, bytes, type, nullptr};
}

// 4, 5, 31 to 33 and 36 to 38 were types once.
constexpr std::array kTypes{
    numbers(0, "F32", ElementType::f32, 4),         numbers(1, "F16", ElementType::f16, 2),
    blocks<32, 18, decode_q4_0>(2, "Q4_0"),         blocks<32, 20, decode_q4_1>(3, "Q4_1"),
    blocks<32, 22, decode_q5_0>(6, "Q5_0"),         blocks<32, 24, decode_q5_1>(7, "Q5_1"),
    blocks<32, 34, decode_q8_0>(8, "Q8_0"),         blocks<32, 36, decode_q8_1>(9, "Q8_1"),
    blocks<256, 84, decode_q2_k>(10, "Q2_K"),       blocks<256, 110, decode_q3_k>(11, "Q3_K"),
    blocks<256, 144, decode_q4_k>(12, "Q4_K"),      blocks<256, 176, decode_q5_k>(13, "Q5_K"),
    blocks<256, 210, decode_q6_k>(14, "Q6_K"),      blocks<256, 292, decode_q8_k>(15, "Q8_K"),
    blocks<256, 66, decode_iq2_xxs>(16, "IQ2_XXS"), blocks<256, 74, decode_iq2_xs>(17, "IQ2_XS"),
    blocks<256, 98, decode_iq3_xxs>(18, "IQ3_XXS"), blocks<256, 50, decode_iq1_s>(19, "IQ1_S"),
    blocks<32, 18, decode_iq4_nl>(20, "IQ4_NL"),    blocks<256, 110, decode_iq3_s>(21, "IQ3_S"),
    blocks<256, 82, decode_iq2_s>(22, "IQ2_S"),     blocks<256, 136, decode_iq4_xs>(23, "IQ4_XS"),
    numbers(24, "I8", ElementType::i8, 1),          numbers(25, "I16", ElementType::i16, 2),
    numbers(26, "I32", ElementType::i32, 4),        numbers(27, "I64", ElementType::i64, 8),
    numbers(28, "F64", ElementType::f64, 8),        blocks<256, 56, decode_iq1_m>(29, "IQ1_M"),
    numbers(30, "BF16", ElementType::bf16, 2),      blocks<256, 54, decode_tq1_0>(34, "TQ1_0"),
    blocks<256, 66, decode_tq2_0>(35, "TQ2_0"),     blocks<32, 17, decode_mxfp4>(39, "MXFP4"),
};

}  // namespace

const GgmlType* find_ggml_type(uint32_t number) {
  auto found = std::find_if(kTypes.begin(), kTypes.end(), [&](const GgmlType& type) { return type.number == number; });
  return found == kTypes.end() ? nullptr : &*found;
}

}  // namespace nibble
