#include "simd/dct_cm_kernels.hpp"

namespace fmapzip {

const DctCmKernels& dct_cm_kernels_for(Isa isa) {
#ifdef FMAPZIP_X86
  if (isa == Isa::avx512) return kDctCmAvx512;
  if (isa == Isa::avx2) return kDctCmAvx2;
#endif
  (void)isa;
  return kDctCmScalar;
}

}  // namespace fmapzip
