#include <arm_neon.h>

#include "entropy/prediction.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

FMAPZIP_INLINE int32x4_t dot(int32x4_t sum, int8x16_t bytes, int8x16_t weights) {
  return vdotq_s32(sum, bytes, weights);
}

#include "entropy/prediction_neon.inc"

}  // namespace

const PredictionKernels kNeonDotPredictionKernels{predict, gather, nullptr};

}  // namespace fmapzip
