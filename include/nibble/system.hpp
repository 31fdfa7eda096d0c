#pragma once

#include <cstdint>
#include <string>

#include "nibble/context.hpp"

namespace nibble {

/// What this machine can do at most, measured now on the context's threads; takes about a second.
struct MachineLimits {
  double read_gb_s = 0;    ///< bytes read from memory, in 1e9 per second
  double int8_gmac_s = 0;  ///< 8-bit multiply-accumulates, in 1e9 per second
  double f32_gflop_s = 0;  ///< float operations (a fused multiply-add counts as two), in 1e9 per second
};
MachineLimits measure_machine_limits(Context& context);

/// The best instruction set of this processor that Nibble knows: "avx512vnni", "avx2vnni", "avx2" or "scalar".
std::string instruction_set();

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

/// Most memory that this process has had resident so far, in bytes.
uint64_t peak_resident_bytes();

}  // namespace nibble
