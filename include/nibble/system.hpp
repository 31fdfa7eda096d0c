#pragma once

#include <cstdint>
#include <string>

#include "nibble/context.hpp"

namespace nibble {

/// The best instruction set of this processor that Nibble knows: "avx512bf16", "avx512vnni", "avx2vnni", "avx2" or "scalar".
std::string instruction_set();

/// What this machine can do at most, in 1e9 per second.
struct MachineLimits {
  double read_gb_s = 0;    ///< bytes read from memory
  double int8_gmac_s = 0;  ///< 8-bit multiply-accumulates
  double int4_gmac_s = 0;  ///< multiply-accumulates of 4-bit with 8-bit numbers: more than int8 on AVX2 without VNNI
  double bf16_gmac_s = 0;  ///< bfloat16 multiply-accumulates; 0 where there is no instruction for them
  double f32_gflop_s = 0;  ///< float operations (a fused multiply-add counts as two)
};
/// Measured now on the context's threads with the instructions of `isa`, which this processor must have; takes about a second.
MachineLimits measure_machine_limits(Context& context, const std::string& isa = instruction_set());

/// For programs: from now on Ctrl-C (SIGINT) and SIGTERM no longer end the process but set a flag. Reads from a terminal
/// that they interrupt fail once. Process-wide.
void catch_interrupts();
/// True once after an interrupt; asking clears the flag.
bool take_interrupt();
/// True after an interrupt, without clearing the flag.
bool interrupt_pending();

enum class StandardStream { input, output, error };
/// True when a person sits at the other end.
bool is_terminal(StandardStream stream);

/// Bytes of memory that this process can still take: what the system has available, within the limits of its control groups.
uint64_t usable_memory_bytes();
/// Most memory that this process has had resident so far, in bytes.
uint64_t peak_resident_bytes();
/// Makes peak_resident_bytes() start again from what is resident now. False where the system does not allow it.
bool reset_peak_resident();

}  // namespace nibble
