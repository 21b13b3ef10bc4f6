#include "simd/float_kernels.hpp"

namespace fmapzip {

const FloatKernels& float_kernels_for(Isa isa) {
#ifdef FMAPZIP_X86
  if (isa == Isa::avx512) return kFloatAvx512;
  if (isa == Isa::avx2) return kFloatAvx2;
#endif
  (void)isa;
  return kFloatScalar;
}

}  // namespace fmapzip
