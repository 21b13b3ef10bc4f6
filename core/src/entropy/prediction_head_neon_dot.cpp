#include <arm_neon.h>

#include "entropy/alphabet.hpp"
#include "entropy/prediction_head.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

FMAPZIP_INLINE int32x4_t dot_bytes(int32x4_t sum, int8x16_t bytes, int8x16_t weights) {
  return vdotq_s32(sum, bytes, weights);
}

#include "entropy/prediction_head_neon.inc"

}  // namespace

const HeadKernels kNeonDotHeadKernels{predict, find_errors};

}  // namespace fmapzip
