#include "device/cpu/kernels/row_ops.hpp"

#include "device/cpu/kernels/row_ops_tables.hpp"

namespace nibble::cpu {

const RowOps& row_ops([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::scalar: break;
    case Isa::avx2:
    case Isa::avx2vnni: return row_ops_avx2;
    case Isa::avx512vnni:
    case Isa::avx512bf16: return row_ops_avx512vnni;
  }
#endif
  return row_ops_scalar;
}

}  // namespace nibble::cpu
