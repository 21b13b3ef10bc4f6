#include "simd/isa.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#ifdef FMAPZIP_X86
#include <cpuid.h>
#endif

namespace fmapzip {

#ifdef FMAPZIP_X86
namespace {

// Without it, lzcnt runs as bsr and gives other numbers. Compilers name it in __builtin_cpu_supports only of
// late.
bool has_lzcnt() {
  constexpr unsigned kExtendedFeatures = 0x80000001;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(kExtendedFeatures, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_LZCNT) != 0;
}

}  // namespace
#endif

// Every -m flag of CMakeLists.txt is asked for here.
Isa detected_isa() {
#ifdef FMAPZIP_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") && has_lzcnt();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
                      __builtin_cpu_supports("avx512vnni");
  if (avx512) return Isa::avx512;
  if (avx2) return Isa::avx2;
#endif
  return Isa::scalar;
}

namespace {

Isa chosen_isa() {
  const char* variable = std::getenv("FMAPZIP_SIMD");
  const std::string_view wanted = variable ? variable : "";
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (wanted == isa_name(isa)) return std::min(isa, detected_isa());
  }
  return detected_isa();
}

}  // namespace

Isa active_isa() {
  static const Isa isa = chosen_isa();
  return isa;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    default:
      return "scalar";
  }
}

}  // namespace fmapzip
