#include "simd/instruction_set.hpp"

#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "entropy/context_kernels.hpp"
#include "entropy/fit_kernels.hpp"
#include "entropy/prediction.hpp"
#include "entropy/prediction_head.hpp"
#include "simd/dct_cm_kernels.hpp"
#include "simd/float_kernels.hpp"
#include "simd/kernels.hpp"

#ifdef FMAPZIP_X86
#include <cpuid.h>
#elif defined(FMAPZIP_ARM) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace fmapzip {
namespace {

bool always() { return true; }

// Each function asks for every flag that CMakeLists.txt gives the set's sources.
#ifdef FMAPZIP_X86
// Without it, lzcnt runs as bsr and gives other numbers. Compilers name it in __builtin_cpu_supports only of
// late.
bool has_lzcnt() {
  constexpr unsigned kExtendedFeatures = 0x80000001;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(kExtendedFeatures, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_LZCNT) != 0;
}

bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt") && has_lzcnt();
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
         __builtin_cpu_supports("avx512vnni");
}
#elif defined(FMAPZIP_ARM)
#ifdef __linux__
bool has(unsigned long capability) { return (getauxval(AT_HWCAP) & capability) != 0; }
bool has_neon() { return has(HWCAP_ASIMD) && has(HWCAP_CRC32); }
bool has_neon_dot() { return has_neon() && has(HWCAP_ASIMDDP); }
#else
#ifdef __APPLE__
constexpr bool kKnown = true;  // all of Apple's have both
#else
constexpr bool kKnown = false;
#endif
bool has_neon() { return kKnown; }
bool has_neon_dot() { return kKnown; }
#endif
#endif

constexpr InstructionSet kScalar{
    .name = "scalar",
    .supported = always,
    .fallback = nullptr,
    .general = &kScalarKernels,
    .floats = &kFloatScalar,
    .dct_cm = &kDctCmScalar,
    .context = &kScalarContextKernels,
    .prediction = &kScalarPredictionKernels,
    .head = &kScalarHeadKernels,
    .fit = &kScalarFitKernels,
};

#ifdef FMAPZIP_X86
constexpr InstructionSet kAvx2{
    .name = "avx2",
    .supported = has_avx2,
    .fallback = &kScalar,
    .general = &kAvx2Kernels,
    .floats = &kFloatAvx2,
    .dct_cm = &kDctCmAvx2,
    .context = &kAvx2ContextKernels,
    .prediction = &kAvx2PredictionKernels,
    .head = &kAvx2HeadKernels,
    .fit = &kAvx2FitKernels,
};

constexpr InstructionSet kAvx512{
    .name = "avx512",
    .supported = has_avx512,
    .fallback = &kAvx2,
    .general = &kAvx512Kernels,
    .floats = &kFloatAvx512,
    .dct_cm = &kDctCmAvx512,
    .context = &kAvx512ContextKernels,
    .prediction = &kAvx512PredictionKernels,
    .head = &kAvx512HeadKernels,
    .fit = &kAvx512FitKernels,
};

constexpr std::array kSets{&kScalar, &kAvx2, &kAvx512};
#elif defined(FMAPZIP_ARM)
constexpr InstructionSet kNeon{
    .name = "neon",
    .supported = has_neon,
    .fallback = &kScalar,
    .general = &kNeonKernels,
    .floats = &kFloatNeon,
    .dct_cm = &kDctCmNeon,
    .context = &kNeonContextKernels,
    .prediction = &kNeonPredictionKernels,
    .head = &kNeonHeadKernels,
    .fit = &kNeonFitKernels,
};

constexpr InstructionSet kNeonDot{
    .name = "neon_dot",
    .supported = has_neon_dot,
    .fallback = &kNeon,
    .general = &kNeonKernels,
    .floats = &kFloatNeon,
    .dct_cm = &kDctCmNeon,
    .context = &kNeonContextKernels,
    .prediction = &kNeonDotPredictionKernels,
    .head = &kNeonDotHeadKernels,
    .fit = &kNeonFitKernels,
};

constexpr std::array kSets{&kScalar, &kNeon, &kNeonDot};
#else
constexpr std::array kSets{&kScalar};
#endif

std::vector<const InstructionSet*> find_supported() {
  std::vector<const InstructionSet*> found;
  for (const InstructionSet* set : kSets) {
    if (set->supported()) found.push_back(set);
  }
  return found;
}

const InstructionSet& chosen_set() {
  const char* variable = std::getenv("FMAPZIP_SIMD");
  const std::string_view wanted = variable ? variable : "";
  for (const InstructionSet* set : supported_sets()) {
    if (wanted == set->name) return *set;
  }
  return *supported_sets().back();
}

}  // namespace

std::span<const InstructionSet* const> supported_sets() {
  static const std::vector<const InstructionSet*> sets = find_supported();
  return sets;
}

const InstructionSet& active_set() {
  static const InstructionSet& set = chosen_set();
  return set;
}

const Kernels& kernels() { return *active_set().general; }
const FloatKernels& float_kernels() { return *active_set().floats; }
const DctCmKernels& dct_cm_kernels() { return *active_set().dct_cm; }
const PredictionKernels& prediction_kernels() { return *active_set().prediction; }
const HeadKernels& head_kernels() { return *active_set().head; }
const FitKernels& fit_kernels() { return *active_set().fit; }

const ContextKernels& context_kernels(uint32_t lanes) {
  const InstructionSet* set = &active_set();
  while (set->context->min_lanes > lanes) set = set->fallback;
  return *set->context;
}

}  // namespace fmapzip
