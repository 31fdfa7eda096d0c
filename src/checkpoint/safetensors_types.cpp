#include "checkpoint/safetensors_types.hpp"

#include <array>
#include <utility>

namespace nibble {

namespace {

constexpr std::array<std::pair<std::string_view, ElementType>, 17> kTypes{{
    {"BOOL", ElementType::boolean},
    {"F4", ElementType::f4e2m1},
    {"U8", ElementType::u8},
    {"I8", ElementType::i8},
    {"F8_E5M2", ElementType::f8e5m2},
    {"F8_E4M3", ElementType::f8e4m3},
    {"I16", ElementType::i16},
    {"U16", ElementType::u16},
    {"F16", ElementType::f16},
    {"BF16", ElementType::bf16},
    {"I32", ElementType::i32},
    {"U32", ElementType::u32},
    {"F32", ElementType::f32},
    {"F64", ElementType::f64},
    {"I64", ElementType::i64},
    {"U64", ElementType::u64},
    {"F8_E8M0", ElementType::f8e8m0},
}};

}  // namespace

std::optional<ElementType> parse_safetensors_type(std::string_view name) {
  for (const auto& [text, type] : kTypes)
    if (text == name) return type;
  return std::nullopt;
}

std::string_view safetensors_type_name(ElementType type) {
  for (const auto& [text, known] : kTypes)
    if (known == type) return text;
  return {};
}

}  // namespace nibble
