#include "entropy/fit_kernels.hpp"

namespace fmapzip {

const FitKernels& fit_kernels_for(Isa isa) {
#ifdef FMAPZIP_X86
  if (isa == Isa::avx512) return kAvx512FitKernels;
  if (isa == Isa::avx2) return kAvx2FitKernels;
#endif
  (void)isa;
  return kScalarFitKernels;
}

}  // namespace fmapzip
