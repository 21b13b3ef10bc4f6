#include <arm_neon.h>

#include "entropy/prediction.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

FMAPZIP_INLINE int32x4_t dot(int32x4_t sum, int8x16_t bytes, int8x16_t weights) {
  const int16x8_t low = vmull_s8(vget_low_s8(bytes), vget_low_s8(weights));
  return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(bytes, weights)));
}

#include "entropy/prediction_neon.inc"

}  // namespace

const PredictionKernels kNeonPredictionKernels{predict, gather, nullptr};

}  // namespace fmapzip
