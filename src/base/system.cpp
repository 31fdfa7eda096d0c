#include "nibble/system.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>

#include "base/machine_meter.hpp"
#include "base/usable_memory.hpp"

namespace nibble {

namespace {

double best(const std::function<double()>& sample) {
  constexpr int kRounds = 4;
  double best = 0;
  for (int round = 0; round < kRounds; ++round) best = std::max(best, sample());
  return best;
}

}  // namespace

MachineLimits measure_machine_limits(Context& context, const std::string& isa) {
  MachineMeter meter(context.threads(), isa);
  return {best([&] { return meter.read(); }) / 1e9, best([&] { return meter.int8(); }) / 1e9, best([&] { return meter.int4(); }) / 1e9,
          best([&] { return meter.bf16(); }) / 1e9, best([&] { return meter.f32(); }) * 2 / 1e9};
}

std::string instruction_set() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw"))
    return "avx512bf16";
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")) return "avx512vnni";
  if (__builtin_cpu_supports("avxvnni")) return "avx2vnni";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
#endif
  return "scalar";
}

namespace {

// A signal handler has no other way to reach anything.
volatile std::sig_atomic_t interrupt_flag = 0;

void on_interrupt(int) { interrupt_flag = 1; }

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: a pending read returns
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupt_pending() { return interrupt_flag != 0; }

bool take_interrupt() {
  bool was_set = interrupt_flag != 0;
  interrupt_flag = 0;
  return was_set;
}

bool is_terminal(StandardStream stream) { return ::isatty(static_cast<int>(stream)) == 1; }

uint64_t usable_memory_bytes() { return usable_memory(); }

uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  return 0;
}

bool reset_peak_resident() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5\n" << std::flush;  // proc(5)
  return file.good();
}

}  // namespace nibble
