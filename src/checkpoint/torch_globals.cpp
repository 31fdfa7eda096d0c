#include "checkpoint/torch_globals.hpp"

#include <array>

namespace nibble {

namespace {

using enum TorchMeaning;

constexpr std::array<TorchGlobal, 46> kGlobals{{
    {"collections", "OrderedDict", ordered_dict},
    {"torch._utils", "_rebuild_tensor", rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v3", rebuild_typed_tensor},
    {"torch._utils", "_rebuild_parameter", rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", rebuild_parameter},
    {"torch._tensor", "_rebuild_from_type_v2", rebuild_from_type},
    {"torch", "Size", size},
    {"torch", "device", unused_value},
    {"_codecs", "encode", unused_value},
    {"torch", "Tensor", tensor_class},
    {"torch.nn.parameter", "Parameter", tensor_class},
    {"torch", "DoubleStorage", storage_class, ElementType::f64},
    {"torch", "FloatStorage", storage_class, ElementType::f32},
    {"torch", "HalfStorage", storage_class, ElementType::f16},
    {"torch", "BFloat16Storage", storage_class, ElementType::bf16},
    {"torch", "LongStorage", storage_class, ElementType::i64},
    {"torch", "IntStorage", storage_class, ElementType::i32},
    {"torch", "ShortStorage", storage_class, ElementType::i16},
    {"torch", "CharStorage", storage_class, ElementType::i8},
    {"torch", "ByteStorage", storage_class, ElementType::u8},
    {"torch", "BoolStorage", storage_class, ElementType::boolean},
    {"torch", "Float8_e4m3fnStorage", storage_class, ElementType::f8e4m3},
    {"torch", "Float8_e5m2Storage", storage_class, ElementType::f8e5m2},
    {"torch.storage", "UntypedStorage", storage_class},
    {"torch", "float64", dtype, ElementType::f64},
    {"torch", "double", dtype, ElementType::f64},
    {"torch", "float32", dtype, ElementType::f32},
    {"torch", "float", dtype, ElementType::f32},
    {"torch", "float16", dtype, ElementType::f16},
    {"torch", "half", dtype, ElementType::f16},
    {"torch", "bfloat16", dtype, ElementType::bf16},
    {"torch", "float8_e4m3fn", dtype, ElementType::f8e4m3},
    {"torch", "float8_e5m2", dtype, ElementType::f8e5m2},
    {"torch", "float8_e8m0fnu", dtype, ElementType::f8e8m0},
    {"torch", "int64", dtype, ElementType::i64},
    {"torch", "long", dtype, ElementType::i64},
    {"torch", "int32", dtype, ElementType::i32},
    {"torch", "int", dtype, ElementType::i32},
    {"torch", "int16", dtype, ElementType::i16},
    {"torch", "int8", dtype, ElementType::i8},
    {"torch", "uint64", dtype, ElementType::u64},
    {"torch", "uint32", dtype, ElementType::u32},
    {"torch", "uint16", dtype, ElementType::u16},
    {"torch", "uint8", dtype, ElementType::u8},
    {"torch", "bool", dtype, ElementType::boolean},
}};

}  // namespace

const TorchGlobal* find_torch_global(std::string_view module, std::string_view name) {
  for (const auto& entry : kGlobals)
    if (entry.name == name && entry.module == module) return &entry;
  return nullptr;
}

}  // namespace nibble
