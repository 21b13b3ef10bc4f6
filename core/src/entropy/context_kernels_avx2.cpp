#include <immintrin.h>

#include "entropy/context_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"
#include "entropy/context_fetch_x86.inc"
#include "entropy/context_means_avx2.inc"
#include "entropy/context_spans.inc"
#include "entropy/context_states_avx2.inc"
#include "entropy/context_steps_of_eight.inc"

}  // namespace

const ContextKernels kAvx2ContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_span, decode_span, kFewLanes};

}  // namespace fmapzip
