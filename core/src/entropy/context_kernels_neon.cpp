#include <arm_neon.h>

#include "entropy/context_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"
#include "entropy/context_means_neon.inc"
#include "entropy/context_spans.inc"
#include "entropy/context_states_neon.inc"
#include "entropy/context_steps_of_eight.inc"

}  // namespace

const ContextKernels kNeonContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_span, decode_span, kFewLanes};

}  // namespace fmapzip
