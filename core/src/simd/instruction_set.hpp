#pragma once

#include <cstdint>
#include <span>

namespace fmapzip {

struct Kernels;
struct FloatKernels;
struct DctCmKernels;
struct ContextKernels;
struct HeadKernels;
struct PredictionKernels;
struct FitKernels;

// An instruction set that this build has kernels for.
struct InstructionSet {
  const char* name;
  bool (*supported)();             // by the machine that this runs on
  const InstructionSet* fallback;  // for what its kernels cannot do; supported where it is
  const Kernels* general;
  const FloatKernels* floats;
  const DctCmKernels* dct_cm;
  const ContextKernels* context;
  const PredictionKernels* prediction;
  const HeadKernels* head;
  const FitKernels* fit;
};

// Those of this build that this machine supports: the portable one first, the best one last.
std::span<const InstructionSet* const> supported_sets();

// The one in use: FMAPZIP_SIMD=NAME takes another than the best, and asking for one that the machine or the
// build lacks gives the best. Read once.
const InstructionSet& active_set();

// Kernels of the set in use.
const Kernels& kernels();
const FloatKernels& float_kernels();
const DctCmKernels& dct_cm_kernels();
const PredictionKernels& prediction_kernels();
const HeadKernels& head_kernels();
const FitKernels& fit_kernels();
// The same, or its fallbacks', that can work with so few lanes; all can with kMaxLanes.
const ContextKernels& context_kernels(uint32_t lanes);

}  // namespace fmapzip
