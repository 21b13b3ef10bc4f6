#include "entropy/prediction.hpp"

#include "simd/isa.hpp"

namespace fmapzip {

const PredictionKernels& prediction_kernels() {
#ifdef FMAPZIP_X86
  if (active_isa() == Isa::avx512) return kAvx512PredictionKernels;
  if (active_isa() == Isa::avx2) return kAvx2PredictionKernels;
#endif
  return kScalarPredictionKernels;
}

}  // namespace fmapzip
