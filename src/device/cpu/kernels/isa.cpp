#include "device/cpu/kernels/isa.hpp"

#include <array>
#include <cstdlib>
#include <string>

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

constexpr std::array kAll{Isa::scalar, Isa::avx2, Isa::avx2vnni, Isa::avx512vnni, Isa::avx512bf16};

bool is_available(Isa isa) {
#if defined(__x86_64__)
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  switch (isa) {
    case Isa::scalar: return true;
    case Isa::avx2: return avx2;
    case Isa::avx2vnni: return avx2 && __builtin_cpu_supports("avxvnni");
    case Isa::avx512vnni: return avx2 && avx512;
    case Isa::avx512bf16: return avx2 && avx512 && __builtin_cpu_supports("avx512bf16");
  }
#endif
  return isa == Isa::scalar;
}

std::string names(const std::vector<Isa>& isas) {
  std::string text;
  for (Isa isa : isas) text += (text.empty() ? "" : ", ") + std::string(to_string(isa));
  return text;
}

}  // namespace

std::string_view to_string(Isa isa) {
  switch (isa) {
    case Isa::scalar: return "scalar";
    case Isa::avx2: return "avx2";
    case Isa::avx2vnni: return "avx2vnni";
    case Isa::avx512vnni: return "avx512vnni";
    case Isa::avx512bf16: return "avx512bf16";
  }
  return "";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> found;
  for (Isa isa : kAll)
    if (is_available(isa)) found.push_back(isa);
  return found;
}

Isa selected_isa() {
  const char* forced = std::getenv("NIBBLE_CPU_ISA");
  if (!forced || !*forced) return available_isas().back();
  for (Isa isa : kAll) {
    if (to_string(isa) != forced) continue;
    if (!is_available(isa))
      fail(ErrorKind::device, "NIBBLE_CPU_ISA={}: this processor lacks it; it has {}", forced, names(available_isas()));
    return isa;
  }
  fail(ErrorKind::invalid_argument, "NIBBLE_CPU_ISA={}: unknown; it may be {}", forced, names({kAll.begin(), kAll.end()}));
}

}  // namespace nibble::cpu
