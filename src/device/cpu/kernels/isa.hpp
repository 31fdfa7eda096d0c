#pragma once

#include <string_view>
#include <vector>

namespace nibble::cpu {

/// Instruction sets that kernels are written for, each including those before it. avx2: with FMA and F16C. avx512vnni: F, BW, VL,
/// DQ and VNNI. avx512bf16: the same with BF16.
enum class Isa { scalar, avx2, avx2vnni, avx512vnni, avx512bf16 };

std::string_view to_string(Isa isa);

/// Those of this processor, lowest first.
std::vector<Isa> available_isas();

/// The best one, or the one that the environment variable NIBBLE_CPU_ISA names. Throws Error{invalid_argument} for an unknown name and
/// Error{device} for one that this processor lacks.
Isa selected_isa();

}  // namespace nibble::cpu
