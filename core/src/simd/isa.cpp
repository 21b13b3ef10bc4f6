#include "simd/isa.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace fmapzip {

Isa detected_isa() {
#ifdef FMAPZIP_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
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
