#include "simd/kernels.hpp"

namespace fmapzip {

const Kernels& kernels_for(Isa isa) {
#ifdef FMAPZIP_X86
  if (isa == Isa::avx512) return kAvx512Kernels;
  if (isa == Isa::avx2) return kAvx2Kernels;
#endif
  (void)isa;
  return kScalarKernels;
}

}  // namespace fmapzip
