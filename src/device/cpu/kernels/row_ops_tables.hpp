#pragma once

#include "device/cpu/kernels/row_ops.hpp"

namespace nibble::cpu {

// One table per instruction set, each in its own file.
extern const RowOps row_ops_scalar, row_ops_avx2, row_ops_avx512vnni;

}  // namespace nibble::cpu
