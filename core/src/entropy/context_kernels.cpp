#include "entropy/context_kernels.hpp"

namespace fmapzip {

const ContextKernels& context_kernels(uint32_t lanes) {
#ifdef FMAPZIP_X86
  const Isa isa = active_isa();
  if (isa >= Isa::avx512 && lanes >= kAvx512ContextKernels.min_lanes) return kAvx512ContextKernels;
  if (isa >= Isa::avx2 && lanes >= kAvx2ContextKernels.min_lanes) return kAvx2ContextKernels;
#endif
  (void)lanes;
  return kScalarContextKernels;
}

}  // namespace fmapzip
